"""What training rows are made of: interactions up to a day, without rare items and users of few items."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_PAIR = ("until", "user_id", "item_id")


def each_until(meetings: DataFrame, untils: Sequence[date]) -> DataFrame:
    """The meetings up to the end of each of ``untils``, named in column `until`."""
    copies = meetings.withColumn("until", F.explode(F.array(*map(F.lit, untils))))
    return copies.filter(F.to_date("happened_at") <= F.col("until"))


def core(meetings: DataFrame, items_a_user: int, users_an_item: int) -> DataFrame:
    """Of each `until` the meetings of users with so many different items and of items with so many different users.

    Who goes may leave others with too few, so this is repeated until nobody goes; a single round is no core. What is
    left is the greatest such set, and there is only one: the order of rows cannot matter.
    """
    if max(items_a_user, users_an_item) <= 1:  # everybody has one
        return meetings
    pairs = meetings.select(*_PAIR).distinct()
    of_user, of_item = Window.partitionBy("until", "user_id"), Window.partitionBy("until", "item_id")
    before, left = None, None
    while before is None or left < before:
        counted = pairs.withColumns({"items": F.count("*").over(of_user), "users": F.count("*").over(of_item)})
        enough = counted.filter((F.col("items") >= items_a_user) & (F.col("users") >= users_an_item))
        # Kept as rows and not as a plan, which would grow with every round.
        pairs = enough.select(*_PAIR).localCheckpoint()
        before, left = left, pairs.count()
    return meetings.join(pairs, list(_PAIR), "left_semi")


def left_out(meetings: DataFrame, kept: DataFrame) -> str:
    """How many users and interactions of ``meetings`` are not in ``kept``, as a sentence's end."""
    counts = F.count_distinct("user_id").alias("users"), F.count("*").alias("interactions")
    all_, some = (frame.agg(*counts).first() for frame in (meetings, kept))
    return ", ".join(f"{all_[name] - some[name]:,} of {all_[name]:,} {name}" for name in ("users", "interactions"))
