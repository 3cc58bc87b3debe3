"""Table rejected_rows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.tables import REJECTED_ROWS
from recpipe.transforms.lines import union


def rejected_rows(lines: list[DataFrame]) -> DataFrame:
    """The lines that were rejected, of every kind."""
    columns = REJECTED_ROWS.column_names
    return union([frame.filter(F.col("reason").isNotNull()).select(*columns) for frame in lines])
