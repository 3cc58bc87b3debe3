"""Who met which item first when: what histories, training and evaluation examples are made of."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def interactions(reviews: DataFrame, item_index: DataFrame, seed: int) -> DataFrame:
    """One row for each user and item, at the first review: user_id, item_id, item_index, reviewed_at, tie.

    Order a user's rows by `in_order`. Equal times are common (many shops keep only the day); ``tie``, a seeded hash,
    decides them, since the order of ids or files would teach a model the shop's numbering.

    A reviewed item that has no number keeps its row with a null, which the audit refuses: losing it would go unseen.
    """
    first = reviews.groupBy("user_id", "item_id").agg(F.min("reviewed_at").alias("reviewed_at"))
    numbered = first.join(item_index.select("item_id", "item_index"), "item_id", "left")
    return numbered.withColumn("tie", F.xxhash64(F.lit(seed), "user_id", "item_id"))


def in_order() -> Column:
    """An interaction as a struct that sorts by time, oldest first: reviewed_at, tie, item_id, item_index, day.

    ``day`` is in days since 1970-01-01, UTC.
    """
    day = F.unix_date(F.to_date("reviewed_at")).alias("day")
    return F.struct("reviewed_at", "tie", "item_id", "item_index", day)


def interactions_a_day(interactions: DataFrame) -> dict[date, int]:
    """How many interactions each day (UTC) has; days without any are left out."""
    days = interactions.groupBy(F.to_date("reviewed_at").alias("day")).count()
    return {row["day"]: row["count"] for row in days.collect()}


def last(ordered: Column, n: int) -> Column:
    """The last ``n`` elements of an array, or all of a shorter one."""
    length = F.least(F.size(ordered), F.lit(n))
    return F.slice(ordered, F.size(ordered) - length + 1, length)


def padded(values: Column, n: int, padding: int) -> Column:
    """An array filled up on the left to ``n`` elements."""
    return F.concat(F.array_repeat(F.lit(padding), n - F.size(values)), values)
