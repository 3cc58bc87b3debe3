"""Table arrivals."""

from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from recpipe.intake import EXAMPLES, FATES
from recpipe.tables import ARRIVALS, PICTURES
from recpipe.transforms.lines import union

_FILE = ("arrived_on", "kind", "file")
_FATE = (*_FILE, "fate", "reason", "notes")
_NO_FATES = (
    "arrived_on date, kind string, file string, fate string, reason string, notes array<string>, line_number bigint"
)
_COUNTS = ("lines_read", *FATES)


def outcomes(spark: SparkSession, lines: list[DataFrame]) -> DataFrame:
    """Lines of every kind with their fates, counted by file and fate: `_FATE`, `lines` and `first_lines`.

    A few rows a file; the pictures of a day count as one. `first_lines` are at most `EXAMPLES` line numbers, ascending.
    """
    none = spark.createDataFrame([], _NO_FATES)
    fates = union([none, *(frame.select(*_FATE, "line_number") for frame in lines)])
    fates = fates.withColumn("file", F.when(F.col("kind") == PICTURES, PICTURES).otherwise(F.col("file")))
    first_lines = F.array_sort(F.min_by("line_number", "line_number", EXAMPLES)).alias("first_lines")
    return fates.groupBy(*_FATE).agg(F.count("line_number").alias("lines"), first_lines)


def arrivals(files: DataFrame, counted: DataFrame, first: date, last: date) -> DataFrame:
    """The seals of the days ``first`` to ``last``: their files with the counts of their outcomes, and one row of kind
    none for a day without files. A file without lines has zeros, and so has one that is not read again."""
    taken_in = files.join(_by_file(counted), list(_FILE), "left").fillna(0, list(_COUNTS))
    every_day = files.sparkSession.range(1).select(F.explode(F.sequence(F.lit(first), F.lit(last))).alias("arrived_on"))
    quiet = every_day.join(files, "arrived_on", "left_anti").withColumns(
        {
            "kind": F.lit("none"),
            **{name: F.lit("") for name in ("file", "format", "origin", "sha256")},
            **{name: F.lit(0).cast("bigint") for name in _COUNTS},
            "same_as": F.lit(None).cast("string"),
        }
    )
    return taken_in.unionByName(quiet).select(*ARRIVALS.column_names)


def _by_file(counted: DataFrame) -> DataFrame:
    fates = [F.sum(F.when(F.col("fate") == fate, F.col("lines")).otherwise(0)).alias(fate) for fate in FATES]
    return counted.groupBy(*_FILE).agg(F.sum("lines").alias("lines_read"), *fates)
