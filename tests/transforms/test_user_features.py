from datetime import UTC, date, datetime

from pyspark.sql import functions as F

from recpipe.lake import conform
from recpipe.tables import ITEMS, TYPE_CODES, USER_FEATURES, USERS, VOCABULARY
from recpipe.transforms.user_attributes import ATTRIBUTES, user_attributes, with_attributes
from recpipe.transforms.user_features import (
    carried,
    changed_categories,
    touched_users,
    user_features,
    widest_categories,
)
from tests.frames import frame, happened, met, numbered
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, event, item, review, user

EPOCH = date(1970, 1, 1)


def made(spark, *rows, history_length=50, items=(), users=()):
    index = numbered(spark, *"abcdefgh")
    categories = widest_categories(frame(spark, ITEMS, *items), index)
    features = user_features(happened(spark, *rows), met(spark, *rows), categories, WEDNESDAY, history_length)
    told = user_attributes(frame(spark, USERS, *users), frame(spark, VOCABULARY))
    return conform(USER_FEATURES, with_attributes(features, told))


def features(spark, *rows, **others):
    return {row.user_id: row for row in made(spark, *rows, **others).collect()}


def at(day):
    return datetime(2024, 1, day, 12, tzinfo=UTC)


def of(*categories):
    """Items a, b, c, … of these widest categories."""
    return [item(item_id, None, categories=[name, "x"]) for item_id, name in zip("abcdefgh", categories, strict=False)]


def test_a_history_is_the_last_meetings_oldest_first_with_their_days_and_types(spark):
    rows = [review("U1", "a", reviewed_at=at(3)), review("U1", "b", reviewed_at=at(1))]
    view = event("U1", "c", event_type="view", occurred_at=at(2))
    found = features(spark, *rows, view, history_length=2)["U1"]
    assert (found.ds, found.history) == (WEDNESDAY, [2, 0])
    assert found.history_days == [(date(2024, 1, day) - EPOCH).days for day in (2, 3)]
    assert found.history_types == [TYPE_CODES["view"], TYPE_CODES["review"]]


def test_seen_are_all_items_that_the_user_has_and_not_those_only_viewed(spark):
    rows = [review("U1", "c"), review("U1", "b"), event("U1", "a"), event("U1", "d", event_type="view")]
    assert features(spark, *rows, history_length=1)["U1"].seen == [0, 1, 2]


def test_a_repeated_review_counts_but_stands_once_in_the_history(spark):
    rows = [review("U1", "a", reviewed_at=at(1), rating=1.0), review("U1", "a", reviewed_at=at(3), rating=4.0)]
    found = features(spark, *rows)["U1"]
    assert (found.history, found.review_count, found.rating_mean) == ([0], 2, 2.5)
    assert (found.first_on, found.last_on, found.active_days) == (date(2024, 1, 1), date(2024, 1, 3), 2)


def test_half_stars_are_kept_and_their_variance_is_exact(spark):
    rows = [review("U1", item, rating=rating) for item, rating in (("a", 4.5), ("b", 5.0), ("c", 5.0))]
    found = features(spark, *rows)["U1"]
    assert (found.rating_mean, found.rating_variance) == (14.5 / 3, 2 / 36)


def test_a_user_with_views_only_has_a_row_and_no_rating(spark):
    found = features(spark, event("U1", "a", event_type="view"), event("U1", "b", event_type="cart"))["U1"]
    assert (found.interaction_count, found.view_count, found.cart_count) == (2, 1, 1)
    assert (found.review_count, found.purchase_count, found.rating_mean, found.rating_variance) == (0, 0, None, None)
    assert (found.seen, found.favourite_categories) == ([], [])


def test_favourite_categories_are_the_most_frequent_and_then_by_name(spark):
    rows = [review("U1", item_id) for item_id in "abcdefg"] + [event("U1", "a")]
    found = features(spark, *rows, items=of("Toys", "Books", "Toys", "Art", "Zoo", "Food", "Garden"))["U1"]
    assert found.favourite_categories == ["Toys", "Art", "Books", "Food", "Garden"]


def test_an_item_that_was_only_viewed_long_ago_makes_no_favourite(spark):
    rows = [event("U1", "a", event_type="view", occurred_at=at(1)), review("U1", "b", reviewed_at=at(2))]
    found = features(spark, *rows, history_length=1, items=of("Toys", "Books"))["U1"]
    assert found.favourite_categories == ["Books"]


def test_attributes_are_those_of_table_users(spark):
    found = features(spark, review("U1", "a"), review("U2", "a"), users=[user("U1", age=30, occupation="baker")])
    assert (found["U1"].age, found["U1"].gender, found["U1"].occupation) == (30, None, "baker")
    assert found["U2"].age is None


def test_every_user_with_an_interaction_has_a_row(spark):
    assert features(spark, review("U1", "a"), event("U2", "a", event_type="view")).keys() == {"U1", "U2"}


def test_touched_are_users_of_the_arrival_and_users_of_changed_items(spark):
    yesterday = made(spark, review("U1", "a"), review("U2", "b"), event("U3", "c", event_type="view"))
    changed = spark.createDataFrame([(2,)], "item_index int")
    arrived = happened(spark, review("U1", "a"), review("U9", "a"))
    assert {row.user_id for row in touched_users(arrived, yesterday, changed).collect()} == {"U1", "U9", "U3"}


def test_a_category_changed_when_the_arrival_tells_another_than_was_known(spark):
    before = [*of("Toys", "Toys", "Toys"), item("d", None)]
    now = [
        item(item_id, None, categories=path, arrived_on=TUESDAY)
        for item_id, path in zip("abde", (["Toys", "Cars"], ["Books"], [], ["Toys"]), strict=True)
    ]
    later = item("c", None, categories=["Books"], arrived_on=WEDNESDAY)
    versions = frame(spark, ITEMS, *before, *now, later)
    found = changed_categories(versions, numbered(spark, *"abcde"), TUESDAY).collect()
    assert {row.item_index for row in found} == {1, 4}


def test_yesterday_counts_for_users_that_are_not_touched(spark):
    yesterday = made(spark, review("U1", "a"), review("U2", "a")).withColumn("ds", F.lit(MONDAY))
    rebuilt = made(spark, review("U2", "a"), review("U2", "b")).drop(*ATTRIBUTES, "attributes")
    touched = spark.createDataFrame([("U2",)], "user_id string")
    found = carried(yesterday, rebuilt, touched, WEDNESDAY).collect()
    assert {(row.user_id, row.ds, len(row.history)) for row in found} == {("U1", WEDNESDAY, 1), ("U2", WEDNESDAY, 2)}
