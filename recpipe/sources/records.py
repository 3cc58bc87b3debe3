"""What a line became: a record of one of the kinds, or a reason why it is none."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

_BOM = b"\xef\xbb\xbf"


class Review(NamedTuple):
    user_id: str
    item_id: str
    reviewed_at: int  # microseconds since 1970-01-01 UTC
    rating: float  # 0.5 to 5; which steps are right depends on the format
    title: str | None
    text: str | None
    vote: int | None
    verified: bool | None


class Event(NamedTuple):
    user_id: str
    item_id: str
    event_type: str  # one of tables.EVENT_TYPES
    occurred_at: int  # microseconds since 1970-01-01 UTC


class Item(NamedTuple):
    item_id: str
    title: str | None
    brand: str | None
    categories: list[str]  # widest first
    price: float | None
    description: str | None
    image_url: str | None


class User(NamedTuple):
    user_id: str
    age: int | None  # years; where a shop gives a band, its lower end
    gender: str | None
    occupation: str | None


Record = Review | Event | Item | User


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


Fields = Mapping[str, Any]
Decode = Callable[[bytes], tuple[Fields, list[str]]]
"""A record's bytes as named fields, and notes on what was replaced; raises `RejectError` for bytes that are none."""


def decode_text(content: bytes, encoding: str = "utf-8") -> tuple[str, list[str]]:
    """The text, with bytes that are none replaced by U+FFFD, and a note if there were any."""
    content = content.removeprefix(_BOM)
    try:
        return content.decode(encoding), []
    except UnicodeDecodeError:
        return content.decode(encoding, "replace"), ["replaced_bytes"]


def decode_json(content: bytes) -> tuple[Fields, list[str]]:
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
        text, notes = decode_text(content)
        try:
            record = json.loads(text, strict=False)
        except RecursionError:
            raise RejectError("nested_too_deeply") from None
        except ValueError:
            raise RejectError("not_json") from None
    if not isinstance(record, dict):
        raise RejectError("not_an_object")
    return record, notes
