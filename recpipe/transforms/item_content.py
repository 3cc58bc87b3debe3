"""What an item's metadata says, as the numbers that a model reads."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from recpipe.transforms.item_tokens import METADATA, tokens

Numbers = Mapping[str, Mapping[str, int]]
"""Number of each token, by field of the vocabulary."""

PRICE_BOUNDS = tuple(step * 10**zeros for zeros in range(9) for step in (1, 2, 5))
"""1, 2, 5, 10, 20, 50, … 500,000,000: what bounds the bands of prices, whatever the shop's prices are."""

_CONTENT = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("tokens", pa.list_(pa.int32())),
        ("categories", pa.list_(pa.int32())),
        ("brand", pa.int32()),
        ("price", pa.float64()),
        ("price_band", pa.int32()),
    ]
)
CONTENT = tuple(name for name in _CONTENT.names if name != "item_id")


def price_band(price: float | None) -> int:
    """0 for no price, 1 for one below 1, 2 for one below 2, 3 for one below 5, and so on."""
    return 0 if price is None else bisect_right(PRICE_BOUNDS, price) + 1


def item_content(items: DataFrame, numbers: Numbers, text_length: int) -> DataFrame:
    """A row for each of ``items``: item_id and `CONTENT`. Tokens without a number are left out."""
    shared = items.sparkSession.sparkContext.broadcast(numbers)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [content_of(item, shared.value, text_length) for item in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=_CONTENT)

    return items.select("item_id", *METADATA, "price").mapInArrow(read, from_arrow_schema(_CONTENT))


def content_of(item: Mapping[str, Any], numbers: Numbers, text_length: int) -> dict[str, Any]:
    """The row of one item; of its text the first ``text_length`` words that have a number."""
    known = {field: _known(its, numbers.get(field, {})) for field, its in tokens(item).items()}
    return {
        "item_id": item["item_id"],
        "title": item["title"],
        "tokens": list(islice(known["text"], text_length)),
        "categories": list(known["category"]),
        "brand": next(known["brand"], 0),
        "price": item["price"],
        "price_band": price_band(item["price"]),
    }


def _known(tokens: Iterator[str], numbers: Mapping[str, int]) -> Iterator[int]:
    return (numbers[token] for token in tokens if token in numbers)
