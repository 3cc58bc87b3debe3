"""The job build_features on a real lake, but for the start of its own Spark session."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from operator import itemgetter

import pytest
from pyarrow import parquet

from jobs.build_features import build_features, main
from recpipe import delta
from recpipe.errors import UserError
from recpipe.examples import build_examples
from recpipe.features import why_not_carried, write_anchor
from recpipe.settings import Settings
from recpipe.tables import (
    ARRIVALS,
    ERASED_USERS,
    EVALUATION_EXAMPLES,
    ITEM_FEATURES,
    ITEM_INDEX,
    ITEMS,
    REVIEWS,
    TRAINING_EXAMPLES,
    USER_FEATURES,
    USERS,
    VOCABULARY,
)
from recpipe.transforms.evaluation_examples import cut_by_happening
from recpipe.transforms.training_examples import training_examples
from recpipe.transforms.user_attributes import with_attributes
from tests.frames import attributes, frame
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, erased, item, item_feature, review, user, user_feature

METADATA = "spark.databricks.delta.commitInfo.userMetadata"

SUNDAY, THURSDAY = date(2023, 12, 31), date(2024, 1, 4)


def seen(user, item, day, arrived_on=None):
    return review(
        user, item, reviewed_at=datetime(day.year, day.month, day.day, 9, tzinfo=UTC), arrived_on=arrived_on or day
    )


FEATURES = (USER_FEATURES, ITEM_FEATURES)
EXAMPLES = {
    TRAINING_EXAMPLES: "until, length",
    EVALUATION_EXAMPLES: "cut, until, cut_by, user_id, items, seen, targets",
}


def of(home, **values):
    return Settings(home=home, carry_from=0, history_length=3, validation_share=0.2, **values)


@pytest.fixture
def settings(lake):
    return of(lake.root.parent)


@pytest.fixture(scope="module")
def shop(shared_lake, all_unaudited):
    """Arrivals of three days, the last of which tells of Monday too, and a user who is erased."""
    root = shared_lake.root
    reviews = [seen("U1", "a", MONDAY), seen("U2", "b", MONDAY), seen("U1", "b", TUESDAY), seen("GONE", "a", MONDAY)]
    late = [seen("U2", "a", MONDAY, arrived_on=WEDNESDAY), seen("U3", "c", WEDNESDAY)]
    users = [user("U1", gender="F"), user("U2", gender="F", age=31), user("GONE", age=31)]
    users += [user("U1", gender="m", arrived_on=WEDNESDAY), user("U3", gender="m", arrived_on=WEDNESDAY)]
    items = [item("a", "Mug", categories=["Toys"]), item("b", "Mug", categories=["Books"], arrived_on=TUESDAY)]
    delta.replace(root, REVIEWS, reviews + late)
    delta.replace(root, USERS, users)
    delta.replace(root, ITEMS, items)
    delta.replace(root, ITEM_INDEX, [named("a", 0, MONDAY), named("b", 1, MONDAY), named("c", 2, WEDNESDAY)])
    delta.replace(root, ARRIVALS, [arrival(arrived_on=day) for day in (MONDAY, TUESDAY, WEDNESDAY)])
    delta.replace(root, ERASED_USERS, [erased("GONE")])
    return shared_lake


def named(item_id, number, day):
    return {"first_arrived_on": day, "item_id": item_id, "item_index": number}


def rows(lake, table, columns="*"):
    with delta.connect(lake.root, [table]) as connection:
        return connection.sql(f"select {columns} from {table.name} order by all").fetchall()


def rows_of(lake, ds, table):
    with delta.connect(lake.root, [table]) as connection:
        query = f"select {EXAMPLES[table]} from {table.name} where ds = $ds order by all"
        return connection.sql(query, params={"ds": ds}).fetchall()


@dataclass(frozen=True)
class Made:
    """What two anchors wrote, Monday and Wednesday, and by table its rows."""

    anchors: list[dict]
    examples: list[tuple[dict, list[str]]]
    rows: dict

    def select(self, table, columns, ds=None):
        """Columns of the rows that were made, whatever became of the table since."""
        names = [name.strip() for name in columns.split(",")]
        places = [table.column_names.index(name) for name in names]
        return [tuple(row[place] for place in places) for row in self.rows[table] if ds in (None, row[0])]


def make(shop, order):
    settings = of(shop.root.parent)
    anchors = [write_anchor(shop, anchor, WEDNESDAY, settings) for _, anchor in sorted(order, key=itemgetter(1))]
    examples = []
    for before, anchor in order:
        build_features(shop, anchor, settings)
        examples.append(build_examples(shop, before, anchor, settings))
    return Made(anchors, examples, {table: rows(shop, table) for table in (*FEATURES, VOCABULARY, *EXAMPLES)})


ANCHORS = [(None, MONDAY), (MONDAY, WEDNESDAY)]


@pytest.fixture(scope="module")
def made(shop):
    return make(shop, ANCHORS)


def test_c06_c07_a_day_knows_only_what_had_arrived_whenever_it_is_run(shop, made):
    told = made.select(USER_FEATURES, "ds, user_id, history")
    assert told[:2] == [(MONDAY, "U1", [0]), (MONDAY, "U2", [1])]
    assert [(user_id, len(history)) for _, user_id, history in told[2:]] == [("U1", 2), ("U2", 2), ("U3", 1)]
    counted = made.select(ITEM_FEATURES, "ds, item_id, review_count")
    assert counted == [
        *[(MONDAY, "a", 1), (MONDAY, "b", 1)],
        *[(WEDNESDAY, "a", 2), (WEDNESDAY, "b", 2), (WEDNESDAY, "c", 1)],
    ]
    delta.append(shop.root, REVIEWS, [seen("U1", "c", MONDAY, arrived_on=THURSDAY), seen("U9", "d", THURSDAY)])
    delta.append(shop.root, USERS, [user("U2", gender="m", arrived_on=THURSDAY)])
    delta.append(shop.root, ITEM_INDEX, [named("d", 3, THURSDAY)])
    again = make(shop, ANCHORS[::-1])
    assert again.anchors == [{}, {}]
    assert all(len(its) > 2 for its in made.rows.values())
    assert again.rows == made.rows


def test_a_late_anchor_gets_numbers_and_features_once_and_numbers_are_never_given_anew(shop, made):
    assert [written.keys() for written in made.anchors] == [{VOCABULARY.name, ITEM_FEATURES.name}, {VOCABULARY.name}]
    numbers = made.select(VOCABULARY, "ds, field, token, token_id")
    assert [row for row in numbers if row[1] != "attribute"] == [
        (MONDAY, "category", "Toys", 1),
        (WEDNESDAY, "category", "Books", 2),
        (WEDNESDAY, "text", "mug", 1),
    ]
    assert made.select(ITEM_FEATURES, "ds, item_id, categories, tokens") == [
        (MONDAY, "a", [1], []),
        (MONDAY, "b", [], []),
        (WEDNESDAY, "a", [1], [1]),
        (WEDNESDAY, "b", [2], [1]),
        (WEDNESDAY, "c", [], []),
    ]
    assert write_anchor(shop, MONDAY, WEDNESDAY, of(shop.root.parent, vocabulary_min_items=1)) == {}
    assert rows(shop, VOCABULARY, "ds, field, token, token_id") == numbers


def test_c06_attributes_are_those_known_on_the_day_in_the_numbers_that_it_knew(made):
    numbers = made.select(VOCABULARY, "ds, field, token, token_id, items")
    assert [row for row in numbers if row[1] == "attribute"] == [
        (MONDAY, "attribute", "gender f", 1, 2),
        (WEDNESDAY, "attribute", "gender m", 2, 2),
    ]
    f, m = [0, 1, 0], [0, 2, 0]
    assert made.select(USER_FEATURES, "ds, user_id, attributes") == [
        *[(MONDAY, "U1", f), (MONDAY, "U2", f)],
        *[(WEDNESDAY, "U1", m), (WEDNESDAY, "U2", f), (WEDNESDAY, "U3", m)],
    ]
    learned = made.select(TRAINING_EXAMPLES, "ds, attributes")
    assert {tuple(told) for ds, told in learned if ds == MONDAY} == {tuple(f)}
    assert {tuple(told) for ds, told in learned if ds == WEDNESDAY} == {tuple(f), tuple(m)}
    judged = made.select(EVALUATION_EXAMPLES, "cut_by, user_id, attributes", WEDNESDAY)
    assert ("arrived_on", "U1", f) in judged  # as Monday knew it, whose model is judged
    assert ("happened_at", "U3", m) in judged


def test_nobody_is_told_what_an_erased_user_was(made):
    """Two were 31, one of whom is erased: what a single user was gets no number."""
    assert not [token for _, token in made.select(VOCABULARY, "ds, token") if token.startswith("age")]
    assert {user_id for (user_id,) in made.select(USER_FEATURES, "user_id")} == {"U1", "U2", "U3"}
    assert {user_id for (user_id,) in made.select(EVALUATION_EXAMPLES, "user_id")} <= {"U1", "U3"}


def test_c05_the_first_anchor_cuts_twice_by_when_things_happened(shop):
    build_examples(shop, None, WEDNESDAY, of(shop.root.parent))
    assert rows_of(shop, WEDNESDAY, TRAINING_EXAMPLES) == [
        *[(MONDAY, length) for length in (1, 2)],
        *[(TUESDAY, length) for length in (2, 2)],
        *[(WEDNESDAY, length) for length in (1, 2, 2)],
    ]
    assert rows_of(shop, WEDNESDAY, EVALUATION_EXAMPLES) == [
        (MONDAY, TUESDAY, "happened_at", "U1", [-1, -1, 0], [0], [1]),
        (TUESDAY, WEDNESDAY, "happened_at", "U3", [-1, -1, -1], [], [2]),
    ]


def test_a_later_anchor_is_judged_by_what_arrived_since_the_one_before(made):
    columns = "cut, until, cut_by, user_id, items, seen, targets"
    assert {until for _, until in made.select(TRAINING_EXAMPLES, "ds, until", WEDNESDAY)} == {TUESDAY, WEDNESDAY}
    assert made.select(EVALUATION_EXAMPLES, columns, WEDNESDAY) == [
        (MONDAY, WEDNESDAY, "arrived_on", "U1", [-1, -1, 0], [0], [1]),
        (MONDAY, WEDNESDAY, "arrived_on", "U3", [-1, -1, -1], [], [2]),  # and not what U2 did on Monday and came late
        (TUESDAY, WEDNESDAY, "happened_at", "U3", [-1, -1, -1], [], [2]),
    ]


def test_a_lake_whose_interactions_fall_on_one_day_has_no_cut_and_nobody_to_judge(made):
    written, said = made.examples[0]
    assert written[EVALUATION_EXAMPLES.name].rows == 0
    assert made.select(TRAINING_EXAMPLES, "until, length", MONDAY) == [(MONDAY, 1), (MONDAY, 1)]
    assert said == ["anchor 2024-01-01: 0 evaluation_examples, 2 training_examples"]


def test_b09_b10_rare_items_and_users_of_few_are_not_trained_on_and_still_judged(shop, made):
    plain, _ = made.examples[1]
    thinned = of(shop.root.parent, k_core=2, min_history=2)
    written, said = build_examples(shop, MONDAY, WEDNESDAY, thinned)
    judged = made.select(EVALUATION_EXAMPLES, EXAMPLES[EVALUATION_EXAMPLES], WEDNESDAY)
    assert rows_of(shop, WEDNESDAY, EVALUATION_EXAMPLES) == judged
    assert written[TRAINING_EXAMPLES.name].rows < plain[TRAINING_EXAMPLES.name].rows
    assert said[1] == "k_core 2 and min_history 2 left out 1 of 3 users, 1 of 5 interactions"


def test_yesterday_is_carried_on_only_if_the_same_code_settings_and_erased_users_wrote_it(lake, settings):
    assert why_not_carried(lake, TUESDAY, settings) == "user_features has no 2024-01-01"
    made = ((USER_FEATURES, user_feature("U1")), (ITEM_FEATURES, item_feature("a", 0)))
    for table, row in made:
        lake.overwrite_partition(table, frame(lake.spark, table, row), MONDAY)
    assert why_not_carried(lake, TUESDAY, settings) is None
    assert why_not_carried(lake, WEDNESDAY, settings) == "user_features has no 2024-01-02"
    full = settings.model_copy(update={"full_refresh": True})
    assert why_not_carried(lake, TUESDAY, full) == "full_refresh is set"
    few = settings.model_copy(update={"carry_from": 1})
    assert why_not_carried(lake, TUESDAY, few) == "0 interactions are quickly read"
    before = lake.spark.conf.get(METADATA)
    for name in ("code_hash", "settings_hash", "erased_hash"):
        lake.spark.conf.set(METADATA, json.dumps(json.loads(before) | {name: "another"}))
        found = why_not_carried(lake, TUESDAY, settings)
        assert found == "user_features of 2024-01-01 is of other code, settings or erased users"
    lake.spark.conf.set(METADATA, before)


def test_f08_files_have_row_groups_for_several_ranks(lake):
    assert 100_000 / TRAINING_EXAMPLES.rows_a_group >= 4 * 16
    small = replace(TRAINING_EXAMPLES, rows_a_group=5)
    met = lake.spark.sql(
        "select concat('U', cast(id as string)) as user_id, 'a' as item_id, 0 as item_index, 4 as type, id as tie, "
        "timestamp'2024-01-01' as happened_at, true as is_target, date'2024-01-01' as until from range(100)"
    )
    lake.overwrite_partition(
        small, training_examples(met, attributes(lake.spark), MONDAY, history_length=3, seed=7), MONDAY
    )
    judged = cut_by_happening(met, MONDAY, SUNDAY, MONDAY, history_length=3)
    lake.overwrite_partition(EVALUATION_EXAMPLES, with_attributes(judged, attributes(lake.spark)), MONDAY)
    [groups], [others] = (
        [parquet.ParquetFile(file).metadata.num_row_groups for file in delta.snapshot_files(lake.root, table)]
        for table in (TRAINING_EXAMPLES, EVALUATION_EXAMPLES)
    )
    assert (groups, others) == (20, 1)


def test_a_day_that_is_not_taken_in_is_refused_before_spark_starts(lake, settings):
    with pytest.raises(UserError, match="run ingest_reviews for 2024-01-03"):
        main(WEDNESDAY, settings)
