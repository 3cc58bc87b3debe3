"""What is carried on from yesterday equals what all that was known gives: a made-up shop of a few nights."""

import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from jobs.build_features import build_features
from recpipe import delta
from recpipe.features import write_anchor
from recpipe.lake import Lake
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

    def land(self, root, order):
        for table, rows in self.rows.items():
            shuffled = Random(order).sample(list(rows.values()), len(rows))
            delta.replace(root, table, shuffled)
        delta.replace(root, ITEM_INDEX, self.index())


HISTORY = History(1)
SETTINGS = Settings(carry_from=0, history_length=4, vocabulary_size=12, text_length=5)
FULL = SETTINGS.model_copy(update={"full_refresh": True})
FEATURES = (USER_FEATURES, ITEM_FEATURES)


@contextmanager
def machine(lake, zone, parts):
    """Another machine: its time zone and how many parts it makes of a shuffle."""
    zones = lake.spark._jvm.java.util.TimeZone
    before = lake.spark.conf.get("spark.sql.shuffle.partitions")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            zones.setDefault(zones.getTimeZone(zone))
            lake.spark.conf.set("spark.sql.shuffle.partitions", parts)
            yield
    finally:
        time.tzset()
        zones.setDefault(zones.getTimeZone("UTC"))
        lake.spark.conf.set("spark.sql.shuffle.partitions", before)


def run(lake, night, settings):
    if night in ANCHORS:
        write_anchor(lake, night, night, settings)
    return build_features(lake, night, settings)[1]


@pytest.fixture(scope="module")
def shop(shared_lake, all_unaudited):
    """All that arrives lies in the lake, and the first night has run, in Tokyo."""
    HISTORY.land(shared_lake.root, order=1)
    with machine(shared_lake, "Asia/Tokyo", 5):
        told = run(shared_lake, FIRST, SETTINGS)
    assert told == f"from all that was known, since user_features has no {FIRST - timedelta(days=1)}"
    return shared_lake


@contextmanager
def kept_before_writes(lake):
    """The frames of these nights that Spark keeps when features begin to be written, write after write."""
    found, write = [], Lake.overwrite_partition

    def kept():
        by_id = dict(lake.spark.sparkContext._jsc.getPersistentRDDs())
        return {number for number, rdd in by_id.items() if "Delta Table State" not in str(rdd.name())}

    of_others = kept()  # the session is that of all tests

    def spied(self, table, frame, day):
        if table in FEATURES:
            found.append(kept() - of_others)
        return write(self, table, frame, day)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "overwrite_partition", spied)
        yield found


def rows(lake, table, days):
    with delta.connect(lake.root, [table]) as connection:
        found = connection.sql(f"select * from {table.name} order by all").fetchall()
    return [row for row in found if row[0] in days]


def test_c02_c09_no_time_zone_no_parts_and_no_order_of_rows_changes_a_row(shop, lake):
    HISTORY.land(lake.root, order=2)
    with machine(lake, "America/Los_Angeles", 1):
        run(lake, FIRST, SETTINGS)
    for table in (VOCABULARY, *FEATURES):
        found = rows(shop, table, [FIRST])
        assert len(found) > 5
        assert found == rows(lake, table, [FIRST])


def test_c06_c07_carried_features_equal_those_of_all_that_was_known(shop):
    later = NIGHTS[1:]
    with kept_before_writes(shop) as kept:
        assert [run(shop, night, SETTINGS) for night in later] == [f"carried on from {night}" for night in NIGHTS[:-1]]
    assert [len(first & second) for first, second in zip(kept[::2], kept[1::2], strict=True)] == [2] * len(later), (
        "after the first write of a night, the users that it touches and what they did are computed anew"
    )
    carried = {table: rows(shop, table, later) for table in FEATURES}
    for night in later:
        assert run(shop, night, FULL).endswith("full_refresh is set")
    assert {number > 0 for row in carried[USER_FEATURES] for number in row[-1]} == {True, False}
    for table, found in carried.items():
        full = rows(shop, table, later)
        assert {row[0] for row in full} == set(later)
        assert [row for row in found if row not in full] == []
        assert found == full
