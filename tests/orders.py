"""A shop that writes orders its own way, and the mapping that reads them."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

from recpipe.source_settings import Source
from recpipe.sources.formats import Format
from recpipe.sources.mapped import mapped_formats

NOON = int(datetime(2024, 1, 2, 12, tzinfo=UTC).timestamp())
ORDERS = {"user_id": "buyer", "item_id": "sku", "event_type": "purchase", "occurred_at": "paid_at"}
COLUMNS = ("buyer", "sku", "paid_at")


def mapped(**source: Any) -> Format:
    [format_] = mapped_formats({"shop": Source(**source)})
    return format_


def orders(**source: Any) -> Format:
    return mapped(**{**ORDERS, **source})


def order(**fields: Any) -> dict[str, Any]:
    return {"buyer": "U1", "sku": "I1", "paid_at": NOON, **fields}


def csv_lines(*rows: tuple[Any, ...], delimiter: str = ",") -> list[bytes]:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode().splitlines()
