"""Table item_features: an item as of ds.

A count is a sum over interactions of what one adds to its item. So a night adds what its arrival changed to yesterday's
counts, and takes off what left the windows, instead of counting all interactions again.
"""

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe.transforms.item_content import CONTENT
from recpipe.transforms.lines import union

WINDOWS = {f"popularity_{days}d": days for days in (1, 7, 30, 365)}
PRIOR_REVIEWS = 10
"""Reviews with the shop's mean that `ratings` adds to each item's own."""
STEADY_RATE = 0.1
"""Interactions a day that `trend` adds to both rates, so that few interactions make no trend."""


def popularity(targets: Collection[str]) -> Mapping[str, Column]:
    return {"popularity": F.col("event_type").isin(*targets)}


def reviews(targets: Collection[str]) -> Mapping[str, Column]:
    return {"review_count": F.col("event_type") == "review", "half_stars": F.coalesce("half_stars", F.lit(0))}


COUNTED = (popularity, reviews)
"""Each gives what an interaction adds to columns of its item, as a whole number or a truth value. It may depend on
nothing but the columns of `interactions.interactions`; what depends on ds is a window."""


def ratings(of_all: Mapping[str, int]) -> Mapping[str, Column]:
    """The mean m of n reviews, and (n m + p M) / (n + p) for the mean M of ``of_all`` reviews and p `PRIOR_REVIEWS`."""
    n, half_stars, all_n = F.col("review_count"), F.col("half_stars"), of_all["review_count"]
    prior = PRIOR_REVIEWS * of_all["half_stars"] / all_n if all_n else None
    mean = half_stars / 2 / F.nullif(n, F.lit(0))
    shrunk = (half_stars + F.lit(prior).cast("double")) / 2 / (n + PRIOR_REVIEWS)
    return {"rating_mean": mean, "rating_shrunk": shrunk}


def trend(of_all: Mapping[str, int]) -> Mapping[str, Column]:
    short, long = (F.col(f"popularity_{days}d") / days + STEADY_RATE for days in (7, 30))
    return {"trend": F.round(F.log(short / long), 6)}


DERIVED = (ratings, trend)
"""Each gives columns out of an item's counts and of those of all items together."""


def counts(interactions: DataFrame, ds: date, targets: Collection[str]) -> DataFrame:
    """What ``interactions`` add to the counts of their items. A column `sign` says -1 for those to take off."""
    since = {name: F.lit(ds - timedelta(days=days)) for name, days in WINDOWS.items()}
    [is_target] = popularity(targets).values()
    windows = {name: is_target & (F.to_date("happened_at") > day) for name, day in since.items()}
    return _summed(interactions, _adding(targets) | windows)


def left_windows(known_before: DataFrame, ds: date, targets: Collection[str]) -> DataFrame:
    """What to add to the counts of the day before for the windows' ends alone; see `leaving_days` for the rows."""
    [is_target] = popularity(targets).values()
    day = F.to_date("happened_at")
    left = {name: is_target & (day == F.lit(ds - timedelta(days=days))) for name, days in WINDOWS.items()}
    unchanged = {name: F.lit(0) for name in _adding(targets)}
    return _summed(known_before.withColumn("sign", F.lit(-1)), unchanged | left)


def leaving_days(ds: date) -> list[date]:
    """Days that end to lie in a window on ``ds``: the rows of no other day matter to `left_windows`."""
    return [ds - timedelta(days=days) for days in WINDOWS.values()]


def carried_counts(yesterday: DataFrame, changes: DataFrame, left: DataFrame) -> DataFrame:
    """Yesterday's counts and what is to be added to them.

    Relies on this: ``changes`` are the `counts` of the interactions of all users whom an arrival of the day names, as
    known now, less those of the same users as known the day before, both by the windows of now; and ``left`` are those
    of the interactions of all users, known the day before, that left a window since.
    """
    names = [name for name in changes.columns if name != "item_id"]
    each = union([frame.select("item_id", *names) for frame in (yesterday, changes, left)])
    return each.groupBy("item_id").agg(*(F.sum(name).alias(name) for name in names))


def totals(counts: DataFrame) -> dict[str, int]:
    """The counts of all items together."""
    names = [name for name in counts.columns if name != "item_id"]
    return counts.agg(*(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in names)).first().asDict()


def carried_content(yesterday: DataFrame, arrived: DataFrame) -> DataFrame:
    """Content of the items that ``arrived``, and yesterday's of the others; it holds while no token got a number."""
    columns = ["item_id", *CONTENT]
    return yesterday.select(columns).join(arrived, "item_id", "left_anti").unionByName(arrived.select(columns))


def item_features(
    item_index: DataFrame,
    counts: DataFrame,
    content: DataFrame,
    images: DataFrame,
    ds: date,
) -> DataFrame:
    """A row for each numbered item, met or not, with metadata or without. All frames are what was known on ``ds``."""
    counted = [name for name in counts.columns if name != "item_id"]
    of_all = totals(counts)
    no_numbers = F.array().cast("array<int>")
    pictured = images.select("item_id", F.lit(True).alias("has_image"))
    joined = (
        item_index.select("item_id", "item_index")
        .join(counts, "item_id", "left")
        .join(content, "item_id", "left")
        .join(pictured, "item_id", "left")
        .fillna(0, [*counted, "brand", "price_band"])
        .fillna(False, ["has_image"])
    )
    derived = {name: column for feature in DERIVED for name, column in feature(of_all).items()}
    lists = {name: F.coalesce(name, no_numbers) for name in ("tokens", "categories")}
    return joined.withColumns({"ds": F.lit(ds)} | lists | derived)


def _adding(targets: Collection[str]) -> dict[str, Column]:
    return {name: column for feature in COUNTED for name, column in feature(targets).items()}


def _summed(interactions: DataFrame, adding: Mapping[str, Column]) -> DataFrame:
    sign = F.col("sign") if "sign" in interactions.columns else F.lit(1)
    sums = [F.sum(sign * column.cast("bigint")).alias(name) for name, column in adding.items()]
    return interactions.groupBy("item_id").agg(*sums)
