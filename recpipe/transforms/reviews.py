"""Table reviews."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.tables import REVIEWS
from recpipe.transforms.lines import kept, mark_duplicates


def mark_duplicate_reviews(lines: DataFrame) -> DataFrame:
    """Of one review in one arrival the version with the highest vote is kept."""
    return mark_duplicates(lines, REVIEWS, F.desc_nulls_last("vote"))


def reviews(lines: DataFrame) -> DataFrame:
    """The accepted reviews among marked lines."""
    return kept(lines, REVIEWS)
