"""Table evaluation_examples: users with what they did up to a cut, and what they got after it."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe.tables import ARRIVED_ON, HAPPENED_AT
from recpipe.transforms.interactions import in_order, last, padded
from recpipe.transforms.training_examples import PADDING_DAY, PADDING_ITEM, PADDING_TYPE


def cut_by_happening(known: DataFrame, ds: date, cut: date, until: date, history_length: int) -> DataFrame:
    """Rows of which ``known``, the meetings known on ``ds``, are history up to ``cut`` and targets up to ``until``."""
    before, after = known.filter(_day() <= F.lit(cut)), known.filter(_day() > F.lit(cut))
    rows = _examples(before, after.filter(_day() <= F.lit(until)), history_length)
    return rows.withColumns(_block(ds, cut, until, HAPPENED_AT))


def cut_by_arrival(before: DataFrame, known: DataFrame, ds: date, cut: date, history_length: int) -> DataFrame:
    """Rows with ``before``, the meetings known on ``cut``, as history, and what is new among ``known`` as targets.

    New is what also happened after the cut: what happened before it and came late is in neither. ``known`` are the
    meetings known on ``ds``.
    """
    rows = _examples(before, known.filter(_day() > F.lit(cut)), history_length)
    return rows.withColumns(_block(ds, cut, ds, ARRIVED_ON))


def _examples(before: DataFrame, after: DataFrame, history_length: int) -> DataFrame:
    """A row for each user who got an item after the cut, one unknown at the cut included.

    A meeting is the first of its kind, so an item that the user had before is not met after the cut.
    """
    got = after.filter("is_target")
    # As structs: collect_list leaves out nulls, and an item without a number must not go unseen.
    targets = got.groupBy("user_id").agg(F.sort_array(F.collect_list(F.struct("item_index"))).alias("targets"))
    histories = before.groupBy("user_id").agg(
        F.sort_array(F.collect_list(in_order())).alias("ordered"),
        F.sort_array(F.collect_list(F.when(F.col("is_target"), F.col("item_index")))).alias("seen"),
    )
    users = targets.join(histories, "user_id", "left").withColumns(
        {"recent": last(F.coalesce("ordered", F.array()), history_length), "seen": F.coalesce("seen", F.array())}
    )
    return users.select(
        "user_id",
        padded(F.col("recent.item_index"), history_length, PADDING_ITEM).alias("items"),
        padded(F.col("recent.day"), history_length, PADDING_DAY).alias("days"),
        padded(F.col("recent.type"), history_length, PADDING_TYPE).alias("types"),
        F.size("recent").alias("length"),
        "seen",
        F.col("targets.item_index").alias("targets"),
    )


def _day() -> Column:
    return F.to_date("happened_at")


def _block(ds: date, cut: date, until: date, cut_by: str) -> dict[str, Column]:
    return {"ds": F.lit(ds), "cut": F.lit(cut), "until": F.lit(until), "cut_by": F.lit(cut_by)}
