"""What users did with items, and when they first did it: what histories, counts and examples are made of."""

from collections.abc import Collection
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe.tables import TYPE_CODES

TARGET = "target"


def interactions(reviews: DataFrame, events: DataFrame) -> DataFrame:
    """Each of the reviews and events, which are what was known on a day: user_id, item_id, happened_at, event_type
    (`review` for a review) and half_stars, which events have none of.

    Half stars are whole numbers, so that their sums do not depend on the order in which Spark adds.
    """
    of_reviews = reviews.select(
        "user_id",
        "item_id",
        F.col("reviewed_at").alias("happened_at"),
        F.lit("review").alias("event_type"),
        F.round(F.col("rating") * 2).cast("bigint").alias("half_stars"),
    )
    of_events = events.select(
        "user_id",
        "item_id",
        F.col("occurred_at").alias("happened_at"),
        "event_type",
        F.lit(None).cast("bigint").alias("half_stars"),
    )
    return of_reviews.unionByName(of_events)


def meetings(interactions: DataFrame, item_index: DataFrame, targets: Collection[str], seed: int) -> DataFrame:
    """The first time that a user viewed an item, put it into the cart, or had it; a row each.

    ``targets`` are the event types by which a user has an item: they count as one, so that an item that was bought and
    then reviewed is met once. Columns: user_id, item_id, item_index, happened_at, type (see `tables.TYPE_CODES`),
    is_target, tie.

    Order a user's rows by `in_order`. Equal times are common (many shops keep only the day); ``tie``, a seeded hash,
    decides them, since the order of ids or files would teach a model the shop's numbering.

    An item that has no number keeps its row with a null, which the audit refuses: losing it would go unseen.
    """
    is_target = F.col("event_type").isin(*targets)
    kind = F.when(is_target, TARGET).otherwise(F.col("event_type"))
    code = F.coalesce(*(F.when(F.col("event_type") == name, code) for name, code in TYPE_CODES.items()))
    earliest = F.min(F.struct("happened_at", code.alias("type"))).alias("earliest")
    first = interactions.groupBy("user_id", "item_id", kind.alias("kind")).agg(earliest)
    numbered = first.join(item_index.select("item_id", "item_index"), "item_id", "left")
    return numbered.select(
        "user_id",
        "item_id",
        "item_index",
        "earliest.happened_at",
        "earliest.type",
        (F.col("kind") == TARGET).alias("is_target"),
        F.xxhash64(F.lit(seed), "user_id", "item_id").alias("tie"),
    )


def in_order() -> Column:
    """A meeting as a struct that sorts by time, oldest first: happened_at, tie, item_id, item_index, day, type.

    ``day`` is in days since 1970-01-01, UTC.
    """
    day = F.unix_date(F.to_date("happened_at")).alias("day")
    return F.struct("happened_at", "tie", "item_id", "item_index", day, "type")


def meetings_a_day(meetings: DataFrame) -> dict[date, int]:
    """How many meetings each day (UTC) has; days without any are left out."""
    days = meetings.groupBy(F.to_date("happened_at").alias("day")).count()
    return {row["day"]: row["count"] for row in days.collect()}


def last(ordered: Column, n: int) -> Column:
    """The last ``n`` elements of an array, or all of a shorter one."""
    length = F.least(F.size(ordered), F.lit(n))
    return F.slice(ordered, F.size(ordered) - length + 1, length)


def padded(values: Column, n: int, padding: int) -> Column:
    """An array filled up on the left to ``n`` elements."""
    return F.concat(F.array_repeat(F.lit(padding), n - F.size(values)), values)
