"""What a line became: a review, an item, or a reason why it is neither."""

import json
from typing import Any, NamedTuple

import orjson

_BOM = b"\xef\xbb\xbf"


class Review(NamedTuple):
    user_id: str
    item_id: str
    reviewed_at: int  # microseconds since 1970-01-01 UTC
    rating: float  # 1 to 5
    title: str | None
    text: str | None
    vote: int | None
    verified: bool | None


class Item(NamedTuple):
    item_id: str
    title: str | None
    brand: str | None
    categories: list[str]  # widest first
    price: float | None
    description: str | None
    image_url: str | None


Record = Review | Item


class Accepted(NamedTuple):
    record: Record
    notes: list[str]  # values that were there and could not be read, such as unreadable_price


class Reject(NamedTuple):
    reason: str
    wrong_unit: bool = False  # the date would fit if its seconds were milliseconds, or the other way round


class RejectError(Exception):
    """Ends the reading of a line."""

    def __init__(self, reason: str, wrong_unit: bool = False) -> None:
        super().__init__(reason)
        self.reject = Reject(reason, wrong_unit)


def decode(content: bytes) -> tuple[dict[str, Any], list[str]]:
    """The JSON object of a line, and a note if bytes were replaced.

    What orjson refuses is tried by the standard library, which tells more apart: bytes that are no UTF-8 are
    replaced; halves of surrogate pairs, NUL and NaN are let through, to be judged by the field that has them.

    Raises:
        RejectError: the line is no JSON object, or is nested too deeply.
    """
    notes: list[str] = []
    try:
        record = orjson.loads(content)
    except ValueError:
        text = content.removeprefix(_BOM).decode("utf-8", "replace")
        try:
            record = json.loads(text, strict=False)
        except RecursionError:
            raise RejectError("nested_too_deeply") from None
        except ValueError:
            raise RejectError("not_json") from None
        if text.encode("utf-8", "replace") != content.removeprefix(_BOM):
            notes.append("replaced_bytes")
    if not isinstance(record, dict):
        raise RejectError("not_an_object")
    return record, notes
