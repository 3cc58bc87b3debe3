"""Lines of landed files, as `sources.spark_reader` reads them."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from recpipe.tables import Table


def mark_duplicates(lines: DataFrame, table: Table, *best_first: Column) -> DataFrame:
    """Add `is_duplicate`: whether another line of the arrival has the table's key and is kept instead.

    The kept one comes first by ``best_first``, then by a hash of its row. Equal rows are told apart by file and line,
    so that counts by file are the same in every run. Rejected lines are no duplicates.
    """
    row_hash = F.sha2(F.to_json(F.struct(*table.column_names)), 256)
    order = Window.partitionBy(*table.key).orderBy(*best_first, row_hash, "file", "line_number")
    is_duplicate = F.col("reason").isNull() & (F.row_number().over(order) > 1)
    return lines.withColumn("is_duplicate", is_duplicate)


def kept(lines: DataFrame, table: Table) -> DataFrame:
    """The rows of ``table`` that the lines became."""
    return lines.filter(F.col("reason").isNull() & ~F.col("is_duplicate")).select(*table.column_names)
