from datetime import UTC, date, datetime

from pyspark.sql import functions as F

from recpipe.tables import TYPE_CODES
from recpipe.transforms.interactions import in_order, last, meetings, meetings_a_day, padded
from tests.frames import happened, met, numbered
from tests.rows import event, review


def at(day, hour=0):
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def order(met):
    """Each user's items in the order of meetings."""
    ordered = met.groupBy("user_id").agg(F.sort_array(F.collect_list(in_order())).alias("ordered"))
    return {row.user_id: "".join(one.item_id for one in row.ordered) for row in ordered.collect()}


def test_an_item_stands_once_at_its_first_review(spark):
    rows = (review("U1", "a", reviewed_at=at(1)), review("U1", "b", reviewed_at=at(2)))
    again = review("U1", "a", reviewed_at=at(3))
    assert order(met(spark, again, *rows)) == {"U1": "ab"}


def test_an_item_is_met_once_as_viewed_once_as_put_into_the_cart_and_once_as_had(spark):
    types = ("view", "cart", "view", "purchase", "purchase")
    events = [event("U1", "a", event_type=type_, occurred_at=at(day)) for day, type_ in enumerate(types, start=1)]
    found = met(spark, *events, review("U1", "a", reviewed_at=at(9))).collect()
    assert sorted((row.happened_at.day, row.type, row.is_target) for row in found) == [
        (1, TYPE_CODES["view"], False),
        (2, TYPE_CODES["cart"], False),
        (4, TYPE_CODES["purchase"], True),
    ]


def test_what_counts_as_having_an_item_is_a_setting(spark):
    views = [event("U1", "a", event_type=type_) for type_ in ("view", "purchase")]
    found = meetings(happened(spark, *views), numbered(spark, "a"), ("view",), 7).collect()
    assert {row.type: row.is_target for row in found} == {TYPE_CODES["view"]: True, TYPE_CODES["purchase"]: False}


def test_half_stars_are_whole_numbers_and_events_have_none(spark):
    found = happened(spark, review("U1", "a", rating=4.5), event("U1", "a"))
    assert {row.event_type: row.half_stars for row in found.collect()} == {"review": 9, "purchase": None}


def test_c09_order_of_rows_does_not_matter(spark):
    rows = [review("U1", item, reviewed_at=at(day)) for item, day in (("a", 3), ("b", 1), ("c", 2))]
    for arrangement in (rows, rows[::-1], [rows[1], rows[0], rows[2]]):
        assert order(met(spark, *arrangement).repartition(3)) == {"U1": "bca"}


def test_equal_times_are_decided_by_the_seed_and_not_by_ids_or_rows(spark):
    rows = [review(user, item) for user in ("U1", "U2", "U3") for item in "abcdefgh"]
    found = order(met(spark, *rows))
    assert found == order(met(spark, *rows[::-1]).repartition(3))
    assert len({*found.values(), "abcdefgh"}) == 4  # every user another, none alphabetical
    assert found != order(met(spark, *rows, seed=8))


def test_b08_an_item_without_a_number_is_not_lost_but_null(spark):
    [row] = met(spark, review("U1", "unknown")).collect()
    assert (row.item_id, row.item_index) == ("unknown", None)


def test_c02_days_are_utc(spark):
    last_second = review("U1", "a", reviewed_at=datetime(2024, 1, 1, 23, 59, 59, tzinfo=UTC))
    found = met(spark, last_second)
    assert meetings_a_day(found) == {date(2024, 1, 1): 1}
    assert found.select(in_order().alias("one")).first().one.day == (date(2024, 1, 1) - date(1970, 1, 1)).days


def test_the_last_of_an_array_and_padding_on_the_left(spark):
    arrays = spark.createDataFrame([([1, 2, 3],), ([9],), ([],)], "a array<int>")
    found = arrays.select(last(F.col("a"), 2).alias("last"), padded(last(F.col("a"), 2), 2, -1).alias("padded"))
    assert [(row.last, row.padded) for row in found.collect()] == [([2, 3], [2, 3]), ([9], [-1, 9]), ([], [-1, -1])]
