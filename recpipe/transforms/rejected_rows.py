"""Table rejected_rows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.tables import REJECTED_ROWS


def rejected_rows(review_lines: DataFrame, item_lines: DataFrame) -> DataFrame:
    """The lines that were rejected, of both kinds."""
    return _rejected(review_lines).unionByName(_rejected(item_lines))


def _rejected(lines: DataFrame) -> DataFrame:
    return lines.filter(F.col("reason").isNotNull()).select(*REJECTED_ROWS.column_names)
