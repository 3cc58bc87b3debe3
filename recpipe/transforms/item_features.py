"""Table item_features: an item as of ds."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

RECENT_DAYS = 30


def item_features(reviews: DataFrame, items: DataFrame, item_index: DataFrame, ds: date) -> DataFrame:
    """A row for each numbered item, reviewed or not, with metadata or without.

    ``reviews``, ``items`` and ``item_index`` are what was known on ``ds``, each review and item once.
    """
    recent = F.to_date("reviewed_at") > F.lit(ds - timedelta(days=RECENT_DAYS))
    half_stars = F.sum(F.round(F.col("rating") * 2).cast("bigint"))  # whole numbers, so that no order rounds otherwise
    counts = reviews.groupBy("item_id").agg(
        F.count("*").alias("review_count"),
        F.count_if(recent).alias("review_count_30d"),
        (half_stars / 2 / F.count("*")).alias("rating_mean"),
    )
    return (
        item_index.select("item_id", "item_index")
        .join(items.select("item_id", "title"), "item_id", "left")
        .join(counts, "item_id", "left")
        .fillna(0, ["review_count", "review_count_30d"])
        .withColumn("ds", F.lit(ds))
    )
