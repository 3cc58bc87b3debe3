"""Table user_features: a user as of ds."""

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe.transforms.interactions import in_order, last
from recpipe.transforms.user_attributes import ATTRIBUTES

MOST_FAVOURITES = 5


def counts() -> Mapping[str, Column]:
    kinds = ("review", "purchase", "cart", "view")
    by_type = {f"{kind}_count": F.count_if(F.col("event_type") == kind) for kind in kinds}
    return {"interaction_count": F.count("*")} | by_type


def ratings() -> Mapping[str, Column]:
    """Mean and population variance of the stars, out of sums of half stars: whole numbers, so that no order of adding
    them rounds otherwise."""
    n = F.nullif(F.count("half_stars"), F.lit(0))
    total, squares = F.sum("half_stars"), F.sum(F.col("half_stars") * F.col("half_stars"))
    return {"rating_mean": total / (2 * n), "rating_variance": (n * squares - total * total) / (4 * n * n)}


def activity() -> Mapping[str, Column]:
    """Days and no ages, so that what is carried on stays true."""
    day = F.to_date("happened_at")
    return {"first_on": F.min(day), "last_on": F.max(day), "active_days": F.size(F.collect_set(day))}


FEATURES = (counts, ratings, activity)
"""Each gives columns of `tables.USER_FEATURES` as aggregates over a user's interactions, whose columns are those of
`interactions.interactions`. They may depend on nothing else: users without new interactions keep their values."""


def user_features(
    interactions: DataFrame, meetings: DataFrame, categories: DataFrame, ds: date, history_length: int
) -> DataFrame:
    """A row for each user who did any of ``interactions``, but for attributes (see `user_attributes`).

    All frames are what was known on ``ds``; ``categories`` are the widest categories of items: item_index, category.
    """
    aggregates = [column.alias(name) for feature in FEATURES for name, column in feature().items()]
    counted = interactions.groupBy("user_id").agg(*aggregates)
    met = histories(meetings, history_length)
    favourites = favourite_categories(met, categories)
    joined = counted.join(met, "user_id").join(favourites, "user_id", "left")
    none = F.array().cast("array<string>")
    return joined.withColumns({"ds": F.lit(ds), "favourite_categories": F.coalesce("favourite_categories", none)})


def histories(meetings: DataFrame, history_length: int) -> DataFrame:
    """user_id, history with days and types, and seen."""
    has = F.when(F.col("is_target"), F.struct("item_index"))  # a struct, so that an item without a number is not lost
    users = meetings.groupBy("user_id").agg(
        F.sort_array(F.collect_list(in_order())).alias("ordered"), F.sort_array(F.collect_list(has)).alias("had")
    )
    recent = users.withColumn("recent", last(F.col("ordered"), history_length))
    return recent.select(
        "user_id",
        F.col("recent.item_index").alias("history"),
        F.col("recent.day").alias("history_days"),
        F.col("recent.type").alias("history_types"),
        F.col("had.item_index").alias("seen"),
    )


def items_of(users: DataFrame) -> DataFrame:
    """user_id, item_index: the items in history and seen, each once; on them the favourite categories depend."""
    return users.select("user_id", F.explode(F.array_union("history", "seen")).alias("item_index"))


def favourite_categories(users: DataFrame, categories: DataFrame) -> DataFrame:
    """user_id, favourite_categories: most frequent first, equally frequent ones by name; no row for a user of none."""
    each = items_of(users).join(categories, "item_index").groupBy("user_id", "category").count()
    ranked = F.sort_array(F.collect_list(F.struct((-F.col("count")).alias("rarity"), "category")))
    best = F.slice(ranked, 1, MOST_FAVOURITES)["category"].alias("favourite_categories")
    return each.groupBy("user_id").agg(best)


def widest_categories(items: DataFrame, item_index: DataFrame) -> DataFrame:
    """item_index, category: the widest category of each of ``items`` that has one."""
    widest = items.select("item_id", F.get("categories", F.lit(0)).alias("category")).filter("category is not null")
    return widest.join(item_index, "item_id").select("item_index", "category")


def carried(yesterday: DataFrame, rebuilt: DataFrame, touched: DataFrame, ds: date) -> DataFrame:
    """The rows of ``ds``: ``rebuilt`` ones of the users in ``touched``, yesterday's of all others.

    Relies on this: a user's row depends on the user's interactions, on the numbers of their items, which never change,
    and on the widest categories of the items in history and seen. So ``touched`` must hold whoever an arrival of ``ds``
    names, and whoever has an item there whose widest category it changed. Attributes are joined anew.
    """
    kept = yesterday.drop(*ATTRIBUTES, "attributes").withColumn("ds", F.lit(ds)).join(touched, "user_id", "left_anti")
    return kept.unionByName(rebuilt)


def touched_users(arrived: DataFrame, yesterday: DataFrame, changed_items: DataFrame) -> DataFrame:
    """user_id of whoever is to be rebuilt: who did any of the ``arrived`` interactions, or has one of
    ``changed_items`` (item_index) in yesterday's history or seen."""
    concerned = items_of(yesterday).join(changed_items, "item_index", "left_semi")
    return arrived.select("user_id").union(concerned.select("user_id")).distinct()


def changed_categories(items: DataFrame, item_index: DataFrame, ds: date) -> DataFrame:
    """item_index of the items whose widest category an arrival of ``ds`` changed. ``items`` are all rows of the table.

    By aggregates and not by `as_of`, which would sort every version of every item that a shop exports nightly.
    """
    arrived = items.filter(F.col("arrived_on") == F.lit(ds)).select("item_id")
    versions = items.filter(F.col("arrived_on") <= F.lit(ds)).join(arrived, "item_id", "left_semi")
    widest, day = F.get("categories", F.lit(0)), F.col("arrived_on")
    compared = versions.groupBy("item_id").agg(
        F.max_by(widest, day).alias("now"), F.max_by(widest, F.when(day < F.lit(ds), day)).alias("then")
    )
    changed = compared.filter(~F.col("now").eqNullSafe(F.col("then")))
    return changed.join(item_index, "item_id").select("item_index")
