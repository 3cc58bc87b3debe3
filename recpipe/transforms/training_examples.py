"""Table training_examples: padded sequences as of an anchor day."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recpipe.transforms.interactions import in_order, last, padded
from recpipe.transforms.user_attributes import with_attributes

PADDING_ITEM, PADDING_DAY, PADDING_TYPE = -1, 0, 0


def training_examples(
    meetings: DataFrame, attributes: DataFrame, ds: date, history_length: int, seed: int
) -> DataFrame:
    """A row for each `until` and user of ``meetings``, of which all had arrived on the anchor day ``ds``.

    ``attributes`` (user_id, attributes) are those known on ``ds`` whatever the `until`, as the numbers of items are: in
    a shop's first arrival no user has any before it.
    """
    n = history_length + 1
    users = meetings.groupBy("until", "user_id").agg(F.sort_array(F.collect_list(in_order())).alias("ordered"))
    recent = users.withColumn("recent", last(F.col("ordered"), n))
    return _with_shuffle_key(with_attributes(recent, attributes), seed).select(
        F.lit(ds).alias("ds"),
        "until",
        padded(F.col("recent.item_index"), n, PADDING_ITEM).alias("items"),
        padded(F.col("recent.day"), n, PADDING_DAY).alias("days"),
        padded(F.col("recent.type"), n, PADDING_TYPE).alias("types"),
        F.size("recent").alias("length"),
        "attributes",
        "shuffle_key",
    )


def _with_shuffle_key(users: DataFrame, seed: int) -> DataFrame:
    """Ids can be made up whose hashes are equal; such users still get keys of their own."""
    hashed = users.withColumn("hash", F.xxhash64(F.lit(seed), "user_id"))
    place = F.row_number().over(Window.partitionBy("until", "hash").orderBy("user_id"))
    return hashed.withColumn("shuffle_key", F.col("hash") + place - 1)
