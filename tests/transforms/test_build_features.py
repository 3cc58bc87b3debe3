"""The job build_features on a real lake, but for the start of its own Spark session."""

import json
from datetime import UTC, datetime

import pytest

from jobs.build_features import build_examples, build_features, main
from recpipe import delta
from recpipe.errors import UserError
from recpipe.features import why_not_carried, write_anchor
from recpipe.settings import Settings
from recpipe.tables import (
    ARRIVALS,
    EVALUATION_EXAMPLES,
    ITEM_FEATURES,
    ITEM_INDEX,
    ITEMS,
    REVIEWS,
    TRAINING_EXAMPLES,
    USER_FEATURES,
    VOCABULARY,
)
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, item, item_feature, review, user_feature

METADATA = "spark.databricks.delta.commitInfo.userMetadata"


def seen(user, item, day, arrived_on=None):
    return review(
        user, item, reviewed_at=datetime(day.year, day.month, day.day, 9, tzinfo=UTC), arrived_on=arrived_on or day
    )


@pytest.fixture
def settings(lake):
    return Settings(home=lake.root.parent, history_length=3, validation_share=0.2)


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


def test_an_anchor_has_rows_up_to_the_cut_and_up_to_itself(shop, settings):
    build_examples(shop, TUESDAY, settings)
    assert rows(shop, TRAINING_EXAMPLES, "until, length") == [(MONDAY, 1), (MONDAY, 1), (TUESDAY, 1), (TUESDAY, 2)]
    assert rows(shop, EVALUATION_EXAMPLES, "ds, cut, user_id, items, seen, targets") == [
        (TUESDAY, MONDAY, "U1", [-1, -1, 0], [0], [1])
    ]


def test_an_anchor_whose_interactions_fall_on_one_day_has_no_cut_and_nobody_to_judge(shop, settings):
    written = build_examples(shop, MONDAY, settings)
    assert written[EVALUATION_EXAMPLES.name].rows == 0
    assert rows(shop, TRAINING_EXAMPLES, "until, length") == [(MONDAY, 1), (MONDAY, 1)]


def test_a_day_that_is_not_taken_in_is_refused_before_spark_starts(lake, settings):
    with pytest.raises(UserError, match="run ingest_reviews for 2024-01-03"):
        main(WEDNESDAY, settings)
