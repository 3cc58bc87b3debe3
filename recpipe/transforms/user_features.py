"""Table user_features: a user as of ds."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.transforms.interactions import in_order, last


def user_features(reviews: DataFrame, meetings: DataFrame, ds: date, history_length: int) -> DataFrame:
    """A row for each user who wrote any of ``reviews``; they and ``meetings`` are what was known on ``ds``."""
    # Half stars are summed as whole numbers: a sum of doubles depends on the order in which Spark adds them.
    half_stars = F.sum(F.round(F.col("rating") * 2).cast("bigint"))
    counts = reviews.groupBy("user_id").agg(
        F.count("*").alias("review_count"),
        (half_stars / 2 / F.count("*")).alias("rating_mean"),
        F.max(F.to_date("reviewed_at")).alias("last_reviewed_on"),
    )
    ordered = F.sort_array(F.collect_list(in_order())).alias("ordered")
    histories = meetings.groupBy("user_id").agg(ordered)
    recent = histories.select("user_id", last(F.col("ordered"), history_length).alias("recent"))
    return (
        recent.join(counts, "user_id")
        .withColumns({"ds": F.lit(ds), "history": F.col("recent.item_index"), "history_days": F.col("recent.day")})
        .drop("recent")
    )
