from datetime import UTC, date, datetime, timedelta

from recpipe.lake import conform
from recpipe.tables import ITEM_FEATURES, ITEMS, REVIEWS
from recpipe.transforms.item_features import item_features
from tests.frames import frame, numbered
from tests.rows import item, review

DS = date(2024, 3, 31)


def features(spark, reviews=(), items=()):
    made = item_features(frame(spark, REVIEWS, *reviews), frame(spark, ITEMS, *items), numbered(spark, *"ab"), DS)
    return {row.item_id: row for row in conform(ITEM_FEATURES, made).collect()}


def days_before(days):
    return datetime(2024, 3, 31, tzinfo=UTC) - timedelta(days=days)


def test_b08_every_numbered_item_has_a_row_with_or_without_metadata_and_reviews(spark):
    found = features(spark, reviews=[review("U1", "a")], items=[item("b", "Mug")])
    assert (found["a"].title, found["a"].review_count, found["a"].item_index) == (None, 1, 0)
    assert (found["b"].title, found["b"].review_count, found["b"].rating_mean) == ("Mug", 0, None)


def test_recent_reviews_are_those_of_thirty_days_with_ds(spark):
    rows = [review(f"U{days}", "a", reviewed_at=days_before(days)) for days in (0, 29, 30)]
    found = features(spark, reviews=rows)["a"]
    assert (found.review_count, found.review_count_30d) == (3, 2)


def test_the_mean_is_of_all_reviews(spark):
    rows = [review(user, "a", rating=rating) for user, rating in (("U1", 1.0), ("U2", 2.5))]
    assert features(spark, reviews=rows)["a"].rating_mean == 1.75
