"""What a day may see: rows that had arrived by its end."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def as_of(frame: DataFrame, ds: date) -> DataFrame:
    """The rows that had arrived by the end of ``ds``."""
    arrival = "first_arrived_on" if "first_arrived_on" in frame.columns else "arrived_on"
    return frame.filter(F.col(arrival) <= F.lit(ds))


def latest_reviews(reviews: DataFrame, ds: date) -> DataFrame:
    """Each review as its newest arrival up to ``ds`` tells it; a review is a (user_id, item_id, reviewed_at)."""
    return _newest(as_of(reviews, ds), "user_id", "item_id", "reviewed_at")


def latest_items(items: DataFrame, ds: date) -> DataFrame:
    """Each item's metadata as its newest arrival up to ``ds`` tells it."""
    return _newest(as_of(items, ds), "item_id")


def _newest(frame: DataFrame, *key: str) -> DataFrame:
    newest_first = Window.partitionBy(*key).orderBy(F.desc("arrived_on"))
    ranked = frame.withColumn("_age", F.row_number().over(newest_first))
    return ranked.filter(F.col("_age") == 1).drop("_age")
