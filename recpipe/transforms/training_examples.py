"""Table training_examples: padded sequences as of an anchor day."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recpipe.transforms.interactions import in_order, last, padded

PADDING_ITEM, PADDING_DAY = -1, 0


def training_examples(
    meetings: DataFrame, ds: date, untils: Sequence[date], history_length: int, seed: int
) -> DataFrame:
    """For each of ``untils`` a row for each user who met an item by the end of that day.

    ``meetings`` are what was known on the anchor day ``ds``.
    """
    n = history_length + 1
    each_until = meetings.withColumn("until", F.explode(F.array(*map(F.lit, untils))))
    known = each_until.filter(F.to_date("happened_at") <= F.col("until"))
    users = known.groupBy("until", "user_id").agg(F.sort_array(F.collect_list(in_order())).alias("ordered"))
    recent = users.withColumn("recent", last(F.col("ordered"), n))
    return _with_shuffle_key(recent, seed).select(
        F.lit(ds).alias("ds"),
        "until",
        padded(F.col("recent.item_index"), n, PADDING_ITEM).alias("items"),
        padded(F.col("recent.day"), n, PADDING_DAY).alias("days"),
        F.size("recent").alias("length"),
        "shuffle_key",
    )


def _with_shuffle_key(users: DataFrame, seed: int) -> DataFrame:
    """Ids can be made up whose hashes are equal; such users still get keys of their own."""
    hashed = users.withColumn("hash", F.xxhash64(F.lit(seed), "user_id"))
    place = F.row_number().over(Window.partitionBy("until", "hash").orderBy("user_id"))
    return hashed.withColumn("shuffle_key", F.col("hash") + place - 1)
