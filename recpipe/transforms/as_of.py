"""What a day may see: rows that had arrived by its end, each key as its newest arrival tells it."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recpipe.tables import Table


def as_of(frame: DataFrame, table: Table, ds: date) -> DataFrame:
    """The rows that had arrived by the end of ``ds``; of rows with one key, that of the newest arrival."""
    arrival = table.day_column
    arrived = frame.filter(F.col(arrival) <= F.lit(ds))
    if arrival not in table.key:  # then a key arrives once
        return arrived
    key = [name for name in table.key if name != arrival]
    newest_first = Window.partitionBy(*key).orderBy(F.desc(arrival))
    return arrived.withColumn("_age", F.row_number().over(newest_first)).filter("_age = 1").drop("_age")
