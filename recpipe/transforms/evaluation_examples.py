"""Table evaluation_examples: users with what they met up to a cut in time, and what they met after it."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.transforms.interactions import in_order, last, padded
from recpipe.transforms.training_examples import PADDING_DAY, PADDING_ITEM


def evaluation_examples(meetings: DataFrame, ds: date, cut: date, history_length: int) -> DataFrame:
    """A row for each user who met an item for the first time after ``cut``, one unknown up to then included.

    ``meetings`` are what was known on the anchor ``ds``.
    """
    before = F.to_date("happened_at") <= F.lit(cut)
    users = meetings.groupBy("user_id").agg(
        F.sort_array(F.collect_list(F.when(before, in_order()))).alias("ordered"),
        # As structs: collect_list leaves out nulls, and an item without a number must not go unseen.
        F.sort_array(F.collect_list(F.when(~before, F.struct("item_index")))).alias("after"),
    )
    judged = users.filter(F.size("after") > 0)
    recent = judged.withColumn("recent", last(F.col("ordered"), history_length))
    return recent.select(
        F.lit(ds).alias("ds"),
        F.lit(cut).alias("cut"),
        "user_id",
        padded(F.col("recent.item_index"), history_length, PADDING_ITEM).alias("items"),
        padded(F.col("recent.day"), history_length, PADDING_DAY).alias("days"),
        F.size("recent").alias("length"),
        F.sort_array("ordered.item_index").alias("seen"),
        F.col("after.item_index").alias("targets"),
    )
