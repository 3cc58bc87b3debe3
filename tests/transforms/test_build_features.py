"""The job build_features on a real lake, but for the start of its own Spark session."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

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


@pytest.fixture
def settings(lake):
    return Settings(home=lake.root.parent, carry_from=0, history_length=3, validation_share=0.2)


@pytest.fixture
def shop(lake):
    rows = [seen("U1", "a", MONDAY), seen("U2", "b", MONDAY), seen("U1", "b", TUESDAY)]
    late = [seen("U2", "a", MONDAY, arrived_on=WEDNESDAY), seen("U3", "c", WEDNESDAY)]
    index = [
        {"first_arrived_on": day, "item_id": item, "item_index": n}
        for n, (item, day) in enumerate((("a", MONDAY), ("b", MONDAY), ("c", WEDNESDAY)))
    ]
    delta.replace(lake.root, REVIEWS, rows + late)
    delta.replace(lake.root, ITEM_INDEX, index)
    delta.replace(lake.root, ARRIVALS, [arrival(arrived_on=day) for day in (MONDAY, TUESDAY, WEDNESDAY)])
    return lake


def rows(lake, table, columns="*"):
    with delta.connect(lake.root, [table]) as connection:
        return connection.sql(f"select {columns} from {table.name} order by all").fetchall()


def test_c06_c07_a_day_knows_only_what_had_arrived_whenever_it_is_run(shop, settings):
    build_features(shop, TUESDAY, settings)
    users, items = rows(shop, USER_FEATURES), rows(shop, ITEM_FEATURES)
    assert rows(shop, USER_FEATURES, "user_id, history") == [("U1", [0, 1]), ("U2", [1])]
    assert rows(shop, ITEM_FEATURES, "item_id, review_count") == [("a", 1), ("b", 2)]
    build_features(shop, WEDNESDAY, settings)
    assert [len(row[2]) for row in rows(shop, USER_FEATURES) if row[:2] == (WEDNESDAY, "U2")] == [2]
    build_features(shop, TUESDAY, settings)
    assert [row for row in rows(shop, USER_FEATURES) if row[0] == TUESDAY] == users
    assert [row for row in rows(shop, ITEM_FEATURES) if row[0] == TUESDAY] == items


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


def test_a_late_anchor_gets_numbers_and_features_once_and_numbers_are_never_given_anew(shop, settings):
    old, new = item("a", "Mug", categories=["Toys"]), item("b", "Mug", categories=["Books"], arrived_on=TUESDAY)
    delta.replace(shop.root, ITEMS, [old, new])
    for anchor in (MONDAY, TUESDAY):
        assert write_anchor(shop, anchor, WEDNESDAY, settings).keys() == {VOCABULARY.name, ITEM_FEATURES.name}
    numbers = rows(shop, VOCABULARY, "ds, field, token, token_id")
    assert numbers == [
        (MONDAY, "category", "Toys", 1),
        (TUESDAY, "category", "Books", 2),
        (TUESDAY, "text", "mug", 1),
    ]
    assert rows(shop, ITEM_FEATURES, "ds, item_id, categories, tokens") == [
        (MONDAY, "a", [1], []),
        (MONDAY, "b", [], []),
        (TUESDAY, "a", [1], [1]),
        (TUESDAY, "b", [2], [1]),
    ]
    more = settings.model_copy(update={"vocabulary_min_items": 1})
    assert write_anchor(shop, MONDAY, WEDNESDAY, more) == {}
    assert rows(shop, VOCABULARY, "ds, field, token, token_id") == numbers


EXAMPLES = {
    TRAINING_EXAMPLES: "until, length",
    EVALUATION_EXAMPLES: "cut, until, cut_by, user_id, items, seen, targets",
}


def of(lake, ds, table):
    with delta.connect(lake.root, [table]) as connection:
        query = f"select {EXAMPLES[table]} from {table.name} where ds = $ds order by all"
        return connection.sql(query, params={"ds": ds}).fetchall()


def test_c06_attributes_are_those_known_on_the_day_in_the_numbers_that_it_knew(shop, settings):
    every = settings.model_copy(update={"vocabulary_min_items": 1})
    told = [user("U1", gender="F"), user("U2", gender="F", age=31), user("U1", gender="m", arrived_on=WEDNESDAY)]
    delta.replace(shop.root, USERS, told)
    delta.append(shop.root, REVIEWS, [seen("U1", "c", WEDNESDAY)])

    def found(anchor, before):
        written = write_anchor(shop, anchor, anchor, every)
        build_features(shop, anchor, every)
        build_examples(shop, before, anchor, every)
        by = {USER_FEATURES: "user_id", TRAINING_EXAMPLES: "until", EVALUATION_EXAMPLES: "cut_by, user_id"}
        made = {table.name: rows(shop, table, f"ds, {name}, attributes") for table, name in by.items()}
        return written, {name: [row[1:] for row in its if row[0] == anchor] for name, its in made.items()}

    monday = found(MONDAY, None)[1]
    assert monday["user_features"] == [("U1", [0, 1, 0]), ("U2", [2, 1, 0])]
    assert monday["training_examples"] == [(MONDAY, [0, 1, 0]), (MONDAY, [2, 1, 0])]
    wednesday = found(WEDNESDAY, MONDAY)[1]
    assert wednesday["user_features"] == [("U1", [0, 3, 0]), ("U2", [2, 1, 0]), ("U3", [0, 0, 0])]
    assert {tuple(attributes) for _, attributes in wednesday["training_examples"]} == {(0, 3, 0), (2, 1, 0), (0, 0, 0)}
    judged = {(cut_by, user_id): attributes for cut_by, user_id, attributes in wednesday["evaluation_examples"]}
    assert judged["arrived_on", "U1"] == [0, 1, 0]  # as Monday knew it, whose model is judged
    assert judged["happened_at", "U1"] == [0, 3, 0]
    assert found(MONDAY, None) == ({}, monday)
    assert rows(shop, VOCABULARY, "ds, token, token_id, items") == [
        (MONDAY, "age 30", 2, 1),
        (MONDAY, "gender f", 1, 2),
        (WEDNESDAY, "gender m", 3, 1),
    ]


def test_nobody_is_told_what_an_erased_user_was(shop, settings):
    delta.replace(shop.root, USERS, [user("U1", gender="F"), user("U2", gender="F")])
    delta.append(shop.root, ERASED_USERS, [erased("U2")])
    write_anchor(shop, MONDAY, MONDAY, settings)
    build_features(shop, MONDAY, settings)
    assert rows(shop, VOCABULARY) == []  # what a single user was gets no number
    assert rows(shop, USER_FEATURES, "user_id, gender, attributes") == [("U1", "F", [0, 0, 0])]


def test_c05_the_first_anchor_cuts_twice_by_when_things_happened(shop, settings):
    build_examples(shop, None, WEDNESDAY, settings)
    assert of(shop, WEDNESDAY, TRAINING_EXAMPLES) == [
        *[(MONDAY, length) for length in (1, 2)],
        *[(TUESDAY, length) for length in (2, 2)],
        *[(WEDNESDAY, length) for length in (1, 2, 2)],
    ]
    assert of(shop, WEDNESDAY, EVALUATION_EXAMPLES) == [
        (MONDAY, TUESDAY, "happened_at", "U1", [-1, -1, 0], [0], [1]),
        (TUESDAY, WEDNESDAY, "happened_at", "U3", [-1, -1, -1], [], [2]),
    ]


def test_a_later_anchor_is_judged_by_what_arrived_since_the_one_before(shop, settings):
    build_examples(shop, TUESDAY, WEDNESDAY, settings)
    assert {until for until, _ in of(shop, WEDNESDAY, TRAINING_EXAMPLES)} == {TUESDAY, WEDNESDAY}
    assert of(shop, WEDNESDAY, EVALUATION_EXAMPLES) == [
        (TUESDAY, WEDNESDAY, "arrived_on", "U3", [-1, -1, -1], [], [2]),  # and not what U2 did on Monday and came late
        (TUESDAY, WEDNESDAY, "happened_at", "U3", [-1, -1, -1], [], [2]),
    ]


def test_c06_c07_what_arrives_later_changes_no_example_and_nor_does_the_order_of_anchors(shop, settings):
    pairs = [(None, MONDAY), (MONDAY, TUESDAY), (TUESDAY, WEDNESDAY)]
    later = [seen("U1", "c", MONDAY, arrived_on=THURSDAY), seen("U9", "d", THURSDAY)]
    found = []
    for order in (pairs, pairs[::-1]):
        for before, anchor in order:
            build_examples(shop, before, anchor, settings)
        found.append([rows(shop, table) for table in EXAMPLES])
        delta.append(shop.root, REVIEWS, later)
        delta.append(shop.root, ITEM_INDEX, [{"first_arrived_on": THURSDAY, "item_id": "d", "item_index": 3}])
    assert min(map(len, found[0])) > 2
    assert found[0] == found[1]


def test_a_lake_whose_interactions_fall_on_one_day_has_no_cut_and_nobody_to_judge(shop, settings):
    written, said = build_examples(shop, None, MONDAY, settings)
    assert written[EVALUATION_EXAMPLES.name].rows == 0
    assert of(shop, MONDAY, TRAINING_EXAMPLES) == [(MONDAY, 1), (MONDAY, 1)]
    assert said == ["anchor 2024-01-01: 0 evaluation_examples, 2 training_examples"]


def test_b09_b10_rare_items_and_users_of_few_are_not_trained_on_and_still_judged(shop, settings):
    plain = build_examples(shop, TUESDAY, WEDNESDAY, settings)[0]
    judged = of(shop, WEDNESDAY, EVALUATION_EXAMPLES)
    thinned = settings.model_copy(update={"k_core": 2})
    written, said = build_examples(shop, TUESDAY, WEDNESDAY, thinned)
    assert of(shop, WEDNESDAY, EVALUATION_EXAMPLES) == judged
    assert written[TRAINING_EXAMPLES.name].rows < plain[TRAINING_EXAMPLES.name].rows
    assert said[1] == "k_core 2 and min_history 1 left out 1 of 3 users, 1 of 5 interactions"
    said = build_examples(shop, TUESDAY, WEDNESDAY, settings.model_copy(update={"min_history": 3}))[1]
    assert said[1] == "k_core 1 and min_history 3 left out 3 of 3 users, 5 of 5 interactions"


def test_f08_files_have_row_groups_for_several_ranks(shop):
    assert 100_000 / TRAINING_EXAMPLES.rows_a_group >= 4 * 16
    small = replace(TRAINING_EXAMPLES, rows_a_group=5)
    met = shop.spark.sql(
        "select concat('U', cast(id as string)) as user_id, 'a' as item_id, 0 as item_index, 4 as type, id as tie, "
        "timestamp'2024-01-01' as happened_at, true as is_target, date'2024-01-01' as until from range(100)"
    )
    shop.overwrite_partition(
        small, training_examples(met, attributes(shop.spark), MONDAY, history_length=3, seed=7), MONDAY
    )
    judged = cut_by_happening(met, MONDAY, SUNDAY, MONDAY, history_length=3)
    shop.overwrite_partition(EVALUATION_EXAMPLES, with_attributes(judged, attributes(shop.spark)), MONDAY)
    [groups], [others] = (
        [parquet.ParquetFile(file).metadata.num_row_groups for file in delta.snapshot_files(shop.root, table)]
        for table in (TRAINING_EXAMPLES, EVALUATION_EXAMPLES)
    )
    assert (groups, others) == (20, 1)


def test_a_day_that_is_not_taken_in_is_refused_before_spark_starts(lake, settings):
    with pytest.raises(UserError, match="run ingest_reviews for 2024-01-03"):
        main(WEDNESDAY, settings)
