"""Lines of landed files, as `sources.spark_reader` reads them, and the tables reviews, events, items and users."""

from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recpipe.tables import Table

_PLACE = ("arrived_on", "file", "line_number")


def duplicates(lines: DataFrame, table: Table) -> DataFrame:
    """The places (arrived_on, file, line_number) of lines that give way to another line of their arrival and key.

    The kept one has the greatest value of ``table.prefers``, where there is one, then the least hash of its row. Equal
    rows are told apart by file and line, so that counts by file are the same in every run. Rejected lines are no
    duplicates.
    """
    accepted = lines.filter(F.col("reason").isNull()).withColumn("_key", F.xxhash64(*table.key))
    # Most keys are there once. Only rows of the others are compared, since their texts are most of the data; which they
    # are, a hash tells, and keys whose hashes collide are only looked at in vain.
    repeated = accepted.groupBy("_key").count().filter("count > 1").select("_key")
    row_hash = F.sha2(F.to_json(F.struct(*table.column_names)), 256)
    preferred = [F.desc_nulls_last(table.prefers)] if table.prefers else []
    order = Window.partitionBy(*table.key).orderBy(*preferred, row_hash, "file", "line_number")
    ranked = accepted.join(repeated, "_key", "left_semi").withColumn("_rank", F.row_number().over(order))
    return ranked.filter("_rank > 1").select(*_PLACE)


def with_fate(lines: DataFrame, duplicates: DataFrame, erased: DataFrame) -> DataFrame:
    """Add `fate`, one of `intake.FATES`.

    A line of a user in ``erased`` (user_id) is erased, also where its place is among ``duplicates``, so that no count
    depends on what else the user wrote. A rejected line is rejected: nobody knows whose it was.
    """
    beaten = duplicates.withColumn("_is_duplicate", F.lit(True))
    marked = lines.join(beaten, list(_PLACE), "left")
    if "user_id" in lines.columns:
        marked = marked.join(erased.select("user_id", F.lit(True).alias("_is_erased")), "user_id", "left")
    else:
        marked = marked.withColumn("_is_erased", F.lit(False))
    fate = F.when(F.col("reason").isNotNull(), "rejected").when(F.col("_is_erased"), "erased")
    fate = fate.when(F.col("_is_duplicate"), "duplicates").otherwise("accepted")
    return marked.withColumn("fate", fate).select(*lines.columns, "fate")


def kept(lines: DataFrame, table: Table) -> DataFrame:
    """The rows of ``table`` that lines with a fate became."""
    return lines.filter(F.col("fate") == "accepted").select(*table.column_names)


def named_items(lines: DataFrame) -> DataFrame:
    """The items that lines name, with the days; erased users' lines too, so that erasing a user moves no number."""
    return lines.filter(F.col("reason").isNull()).select("item_id", "arrived_on")


def union(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)
