"""Table items."""

from pyspark.sql import DataFrame

from recpipe.tables import ITEMS
from recpipe.transforms.lines import kept, mark_duplicates


def mark_duplicate_items(lines: DataFrame) -> DataFrame:
    """Of one item in one arrival any version is as good as another: the one with the smallest row hash is kept."""
    return mark_duplicates(lines, ITEMS)


def items(lines: DataFrame) -> DataFrame:
    """The accepted item versions among marked lines."""
    return kept(lines, ITEMS)
