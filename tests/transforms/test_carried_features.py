"""What is carried on from yesterday equals what all that was known gives: a made-up shop of a few nights."""

import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from jobs.build_features import build_features
from recpipe import delta
from recpipe.features import write_anchor
from recpipe.settings import Settings
from recpipe.tables import (
    EVENT_TYPES,
    EVENTS,
    IMAGES,
    ITEM_FEATURES,
    ITEM_INDEX,
    ITEMS,
    NAMING,
    REVIEWS,
    USER_FEATURES,
    USERS,
    VOCABULARY,
)
from tests.rows import event, item, picture, review, user

FIRST = date(2024, 2, 27)  # a leap day lies ahead
NIGHTS = [FIRST + timedelta(days=days) for days in range(4)]
QUIET, ANCHORS = NIGHTS[1], (NIGHTS[0], NIGHTS[2])
AGES = (0, 0, 0, 1, 1, 2, 5, 6, 7, 8, 28, 29, 30, 31, 363, 364, 365, 366, 400)
WORDS = ("red", "blue", "small", "large", "mug", "lamp", "chair")
CATEGORIES = ("Toys", "Books", "Garden")


class History:
    """Rows of a made-up shop: new, late, edited, repeated; each table's keys are unique within an arrival."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.rows = {table: {} for table in (REVIEWS, EVENTS, ITEMS, USERS, IMAGES)}
        for night in NIGHTS:
            if night != QUIET:
                self.arrive(night)

    def add(self, table, row):
        self.rows[table].setdefault(tuple(row[name] for name in table.key), row)

    def arrive(self, day: date) -> None:
        chance = self.random
        busy = 4 if day == FIRST else 1
        users, items = [f"U{n}" for n in range(20)], [f"i{n}" for n in range(10 + NIGHTS.index(day))]
        some = chance.sample(users, 20 if day == FIRST else 5)
        for _ in range(8 * busy):
            at = self.moment(day)
            made = review(chance.choice(some), chance.choice(items), reviewed_at=at, rating=chance.randint(1, 10) / 2)
            self.add(REVIEWS, made | {"arrived_on": day})
            made = event(chance.choice(some), chance.choice(items), occurred_at=self.moment(day))
            self.add(EVENTS, made | {"arrived_on": day, "event_type": chance.choice(EVENT_TYPES)})
        self.add(EVENTS, event(f"V{day}", "i1", occurred_at=self.moment(day), event_type="view", arrived_on=day))
        for table in (REVIEWS, EVENTS):  # edits, and rows that a shop sends twice
            for row in chance.sample(list(self.rows[table].values()), 3):
                changed = {"rating": chance.randint(1, 10) / 2} if table is REVIEWS else {}
                self.add(table, row | changed | {"arrived_on": day})
        for item_id in chance.sample(items, 6 if day == FIRST else 2):
            words = " ".join([*chance.sample(WORDS, 3), f"only{day:%d}"])
            path = [chance.choice(CATEGORIES), chance.choice(WORDS)][: chance.randint(0, 2)]
            price, brand = chance.choice((None, 0.5, 12.0)), chance.choice((None, "Acme", "Bolt"))
            self.add(ITEMS, item(item_id, words, arrived_on=day, categories=path, price=price, brand=brand))
        self.add(IMAGES, picture(chance.choice(items), arrived_on=day))
        for user_id in chance.sample(users, 3):
            told = {"age": chance.randint(18, 80), "gender": chance.choice("fm")}
            self.add(USERS, user(user_id, arrived_on=day, **told))

    def moment(self, arrived_on: date) -> datetime:
        """On a day by an edge of a window, at its first or its last second."""
        day = arrived_on - timedelta(days=self.random.choice(AGES))
        second = self.random.choice((0, 86_399))
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)

    def index(self):
        named = sorted({(row["arrived_on"], row["item_id"]) for table in NAMING for row in self.rows[table].values()})
        first = {}
        for day, item_id in named:
            first.setdefault(item_id, day)
        return [{"first_arrived_on": day, "item_id": it, "item_index": n} for n, (it, day) in enumerate(first.items())]

    def land(self, root):
        for table, rows in self.rows.items():
            shuffled = self.random.sample(list(rows.values()), len(rows))
            delta.replace(root, table, shuffled)
        delta.replace(root, ITEM_INDEX, self.index())


@pytest.fixture
def settings(lake):
    return Settings(home=lake.root.parent, carry_from=0, history_length=4, vocabulary_size=12, text_length=5)


def rows(lake, table, day=None):
    with delta.connect(lake.root, [table]) as connection:
        found = connection.sql(f"select * from {table.name} order by all").fetchall()
    return [row for row in found if day in (None, row[0])]


def run(lake, night, settings):
    if night in ANCHORS:
        write_anchor(lake, night, night, settings)
    return build_features(lake, night, settings)[1]


def test_c06_c07_carried_features_equal_those_of_all_that_was_known(lake, settings):
    History(1).land(lake.root)
    told = [run(lake, night, settings) for night in NIGHTS]
    assert told[0] == f"from all that was known, since user_features has no {FIRST - timedelta(days=1)}"
    assert told[1:] == [f"carried on from {night}" for night in NIGHTS[:-1]]
    carried = {table: rows(lake, table) for table in (USER_FEATURES, ITEM_FEATURES)}
    for night in NIGHTS[1:]:
        assert run(lake, night, settings.model_copy(update={"full_refresh": True})).endswith("full_refresh is set")
    assert {number > 0 for row in carried[USER_FEATURES] for number in row[-1]} == {True, False}
    for table, found in carried.items():
        full = rows(lake, table)
        assert {row[0] for row in full} == set(NIGHTS)
        assert [row for row in found if row not in full] == []
        assert found == full


@contextmanager
def machine(lake, monkeypatch, zone, parts):
    """Another machine: its time zone and how many parts it makes of a shuffle."""
    zones = lake.spark._jvm.java.util.TimeZone
    before = lake.spark.conf.get("spark.sql.shuffle.partitions")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        zones.setDefault(zones.getTimeZone(zone))
        lake.spark.conf.set("spark.sql.shuffle.partitions", parts)
        yield
    time.tzset()
    zones.setDefault(zones.getTimeZone("UTC"))
    lake.spark.conf.set("spark.sql.shuffle.partitions", before)


def test_c02_c09_no_time_zone_no_parts_and_no_order_of_rows_changes_a_row(lake, settings, monkeypatch):
    history, night, tables = History(3), NIGHTS[0], (VOCABULARY, USER_FEATURES, ITEM_FEATURES)
    found = []
    for zone, parts in (("America/Los_Angeles", 1), ("Asia/Tokyo", 5)):
        history.land(lake.root)
        with machine(lake, monkeypatch, zone, parts):
            lake.overwrite_partition(VOCABULARY, lake.of_day(VOCABULARY, date(2000, 1, 1)), night)
            write_anchor(lake, night, night, settings)
            build_features(lake, night, settings)
            found.append({table.name: rows(lake, table) for table in tables})
    assert all(len(its) > 5 for its in found[0].values())
    assert found[0] == found[1]
