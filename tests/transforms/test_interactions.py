from datetime import UTC, date, datetime

from pyspark.sql import functions as F

from recpipe.tables import REVIEWS
from recpipe.transforms.interactions import in_order, interactions, interactions_a_day, last, padded
from tests.frames import frame, numbered
from tests.rows import review


def at(day, hour=0):
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def order(spark, reviews, seed=7):
    """Each user's items in the order of interactions."""
    found = interactions(reviews, numbered(spark, *"abcdefgh"), seed).groupBy("user_id")
    ordered = found.agg(F.sort_array(F.collect_list(in_order())).alias("ordered"))
    return {row.user_id: "".join(one.item_id for one in row.ordered) for row in ordered.collect()}


def test_an_item_stands_once_at_its_first_review(spark):
    rows = (review("U1", "a", reviewed_at=at(1)), review("U1", "b", reviewed_at=at(2)))
    again = review("U1", "a", reviewed_at=at(3))
    assert order(spark, frame(spark, REVIEWS, again, *rows)) == {"U1": "ab"}


def test_c09_order_of_rows_does_not_matter(spark):
    rows = [review("U1", item, reviewed_at=at(day)) for item, day in (("a", 3), ("b", 1), ("c", 2))]
    for arrangement in (rows, rows[::-1], [rows[1], rows[0], rows[2]]):
        assert order(spark, frame(spark, REVIEWS, *arrangement).repartition(3)) == {"U1": "bca"}


def test_equal_times_are_decided_by_the_seed_and_not_by_ids_or_rows(spark):
    rows = [review(user, item) for user in ("U1", "U2", "U3") for item in "abcdefgh"]
    found = order(spark, frame(spark, REVIEWS, *rows))
    assert found == order(spark, frame(spark, REVIEWS, *rows[::-1]).repartition(3))
    assert len({*found.values(), "abcdefgh"}) == 4  # every user another, none alphabetical
    assert found != order(spark, frame(spark, REVIEWS, *rows), seed=8)


def test_b08_an_item_without_a_number_is_not_lost_but_null(spark):
    [row] = interactions(frame(spark, REVIEWS, review("U1", "unknown")), numbered(spark, "a"), 7).collect()
    assert (row.item_id, row.item_index) == ("unknown", None)


def test_c02_days_are_utc(spark):
    last_second = review("U1", "a", reviewed_at=datetime(2024, 1, 1, 23, 59, 59, tzinfo=UTC))
    found = interactions(frame(spark, REVIEWS, last_second), numbered(spark, "a"), 7)
    assert interactions_a_day(found) == {date(2024, 1, 1): 1}
    assert found.select(in_order().alias("one")).first().one.day == (date(2024, 1, 1) - date(1970, 1, 1)).days


def test_the_last_of_an_array_and_padding_on_the_left(spark):
    arrays = spark.createDataFrame([([1, 2, 3],), ([9],), ([],)], "a array<int>")
    found = arrays.select(last(F.col("a"), 2).alias("last"), padded(last(F.col("a"), 2), 2, -1).alias("padded"))
    assert [(row.last, row.padded) for row in found.collect()] == [([2, 3], [2, 3]), ([9], [-1, 9]), ([], [-1, -1])]
