"""Table vocabulary: numbers for the tokens of items' metadata and of users' attributes, append-only by anchor day."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from recpipe.transforms.item_tokens import METADATA, tokens

_COUNTS = pa.schema([("field", pa.string()), ("token", pa.string()), ("items", pa.int64())])


def vocabulary(counted: DataFrame, numbered: DataFrame, ds: date, size: int, min_items: int) -> DataFrame:
    """Rows for the tokens that the anchor ``ds`` numbers: those ``counted`` on it that have no number yet.

    ``counted`` has field, token and items, how many have it; ``numbered`` are the rows of earlier anchors. Frequent
    tokens come first, equally frequent ones by their bytes. At most ``size`` tokens a field get a number in all; words
    and attributes only if ``min_items`` items or users have them, attributes at least two: what a single user is would
    outlast the user's erasure here.
    """
    least = F.when(F.col("field") == "text", min_items).when(F.col("field") == "attribute", max(min_items, 2))
    new = counted.filter(F.col("items") >= least.otherwise(1)).join(numbered, ["field", "token"], "left_anti")
    last = numbered.groupBy("field").agg(F.max("token_id").alias("last"))
    best_first = Window.partitionBy("field").orderBy(F.desc("items"), "token")
    token_id = F.row_number().over(best_first) + F.coalesce("last", F.lit(0))
    ordered = new.join(F.broadcast(last), "field", "left").withColumn("token_id", token_id).drop("last")
    return ordered.filter(F.col("token_id") <= size).withColumn("ds", F.lit(ds))


def token_counts(items: DataFrame) -> DataFrame:
    """How many of ``items`` have each token: field, token, items."""
    counted = items.select(*METADATA).mapInArrow(_count, from_arrow_schema(_COUNTS))
    return counted.groupBy("field", "token").agg(F.sum("items").alias("items"))


def _count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    found = Counter()
    for batch in batches:
        for item in batch.to_pylist():
            found.update({(field, token) for field, its in tokens(item).items() for token in its})
    if not found:
        return
    fields, names = zip(*found, strict=True)
    yield pa.record_batch([pa.array(column) for column in (fields, names, list(found.values()))], schema=_COUNTS)
