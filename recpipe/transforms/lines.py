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


def mark_duplicates(lines: DataFrame, duplicates: DataFrame) -> DataFrame:
    """Add `is_duplicate`: whether the line's place is among ``duplicates``."""
    beaten = duplicates.withColumn("is_duplicate", F.lit(True))
    return lines.join(beaten, list(_PLACE), "left").fillna(False, ["is_duplicate"])


def kept(lines: DataFrame, table: Table) -> DataFrame:
    """The rows of ``table`` that marked lines became."""
    is_kept = F.col("reason").isNull() & ~F.col("is_duplicate")
    return lines.filter(is_kept).select(*table.column_names)


def union(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)
