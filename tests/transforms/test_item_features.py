from datetime import UTC, date, datetime, timedelta
from math import log

import pytest
from pyspark.sql import functions as F

from recpipe.lake import conform
from recpipe.tables import IMAGES, ITEM_FEATURES, ITEMS
from recpipe.transforms.item_content import item_content
from recpipe.transforms.item_features import (
    PRIOR_REVIEWS,
    WINDOWS,
    carried_content,
    carried_counts,
    counts,
    item_features,
    left_windows,
)
from tests.frames import frame, happened, numbered
from tests.rows import event, item, picture, review

DS = date(2024, 3, 31)
TARGETS = ("purchase", "review")
NUMBERS = {"text": {"mug": 1}, "category": {"Home": 1}, "brand": {"acme": 7}}


def features(spark, *rows, items=(), images=()):
    counted = counts(happened(spark, *rows), DS, TARGETS)
    content = item_content(frame(spark, ITEMS, *items), NUMBERS, 8)
    made = item_features(numbered(spark, *"ab"), counted, content, frame(spark, IMAGES, *images), DS)
    return {row.item_id: row for row in conform(ITEM_FEATURES, made).collect()}


def days_before(days):
    return datetime(2024, 3, 31, 23, tzinfo=UTC) - timedelta(days=days)


def test_b05_b08_every_numbered_item_has_a_row_with_or_without_metadata_and_interactions(spark):
    mug = item("b", "Mug", categories=["Home"], brand="Acme", price=3.0)
    found = features(spark, review("U1", "a"), items=[mug], images=[picture("b")])
    a, b = found["a"], found["b"]
    assert (a.title, a.popularity, a.item_index, a.tokens, a.categories, a.brand) == (None, 1, 0, [], [], 0)
    assert (a.price, a.price_band, a.has_image) == (None, 0, False)
    assert (b.title, b.popularity, b.review_count, b.rating_mean, b.has_image) == ("Mug", 0, 0, None, True)
    assert (b.tokens, b.categories, b.brand, b.price, b.price_band) == ([1], [1], 7, 3.0, 3)


def test_popularity_of_a_window_is_of_its_days_with_ds(spark):
    days = [days for window in WINDOWS.values() for days in (window - 1, window)]
    rows = [event(f"U{n}", "a", occurred_at=days_before(n)) for n in days]
    found = features(spark, *rows)["a"]
    assert [found[name] for name in ("popularity", *WINDOWS)] == [8, 1, 3, 5, 7]


def test_popularity_is_of_the_target_events_and_ratings_of_reviews(spark):
    views = [event("U1", "a", event_type=type_) for type_ in ("view", "cart")]
    found = features(spark, *views, event("U1", "a"), review("U1", "a", rating=4.5))["a"]
    assert (found.popularity, found.review_count, found.half_stars) == (2, 1, 9)


def test_the_mean_is_of_all_reviews_and_shrinks_towards_that_of_the_shop(spark):
    of_a = [review(user, "a", rating=rating) for user, rating in (("U1", 1.0), ("U2", 2.5))]
    found = features(spark, *of_a, review("U1", "b", rating=4.0))
    assert found["a"].rating_mean == 1.75
    shop = 7.5 / 3
    assert found["a"].rating_shrunk == pytest.approx((3.5 + PRIOR_REVIEWS * shop) / (2 + PRIOR_REVIEWS))
    assert found["a"].rating_mean < found["a"].rating_shrunk < shop < found["b"].rating_shrunk < 4


def test_an_item_without_reviews_has_the_mean_of_the_shop_and_a_shop_without_any_has_none(spark):
    assert features(spark, review("U1", "a", rating=4.0))["b"].rating_shrunk == 4.0
    found = features(spark, event("U1", "a"))["a"]
    assert (found.rating_mean, found.rating_shrunk) == (None, None)


def test_a_trend_compares_seven_days_with_thirty(spark):
    rows = [event(f"U{n}", "a", occurred_at=days_before(n)) for n in (0, 1, 20)]
    found = features(spark, *rows)
    assert found["a"].trend == pytest.approx(log((2 / 7 + 0.1) / (3 / 30 + 0.1)), abs=1e-6)
    assert found["b"].trend == 0


def test_counts_of_yesterday_and_what_changed_give_those_of_today(spark):
    before = [event(f"U{n}", "a", occurred_at=days_before(n)) for n in (1, 7, 8, 30)] + [review("U1", "a", rating=1.0)]
    edited, new = review("U1", "a", rating=5.0), event("U9", "b", occurred_at=days_before(0))
    yesterday = counts(happened(spark, *before), DS - timedelta(days=1), TARGETS)
    signed = [(happened(spark, edited, new), 1), (happened(spark, before[-1]), -1)]
    now, then = (rows.withColumn("sign", F.lit(sign)) for rows, sign in signed)
    changes, left = counts(now.union(then), DS, TARGETS), left_windows(happened(spark, *before), DS, TARGETS)
    found = carried_counts(yesterday, changes, left).collect()
    assert sorted(found) == sorted(counts(happened(spark, *before[:-1], edited, new), DS, TARGETS).collect())
    assert len(found) == 2


def test_content_of_items_that_did_not_arrive_is_carried(spark):
    yesterday = item_content(frame(spark, ITEMS, item("a", "Mug"), item("b", "Mug")), NUMBERS, 8)
    arrived = item_content(frame(spark, ITEMS, item("b", "New"), item("c", "New")), NUMBERS, 8)
    found = carried_content(yesterday, arrived).collect()
    assert {row.item_id: (row.title, row.tokens) for row in found} == {
        "a": ("Mug", [1]),
        "b": ("New", []),
        "c": ("New", []),
    }
