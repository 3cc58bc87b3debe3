"""How a record becomes bytes: a `Writer` for each kind of record of each format."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

Line = dict[str, Any]
"""A record's fields under the format's names, in the format's order."""

JSON, LITERAL, CSV, SPLIT, PARQUET = "json", "literal", "csv", "split", "parquet"
"""Shapes of a record: an object of JSON; a literal of Python; RFC 4180; text without its delimiter; a row."""


class Writer(NamedTuple):
    format: str
    kind: str  # one of tables.KINDS
    file: str  # its name in the folder of a day; compressed when it ends in .gz
    fields: Callable[..., Line]  # of a record of the shop
    shape: str
    encode: Callable[[Line], bytes]
    roles: Mapping[str, tuple[str, ...]]  # names of the fields that hold the `user`, the `item`, the `rating`, …
    when: Callable[[datetime], Any] = datetime.isoformat  # how a date is written
    header: bytes = b""
    or_literal: bool = False  # what is no JSON is read as a literal of Python
    notes: tuple[str, ...] = ()  # that the reader makes on every accepted line

    def has(self, *roles: str) -> bool:
        return all(role in self.roles for role in roles)


def roles(**names: str | tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {role: (name,) if isinstance(name, str) else name for role, name in names.items()}


def json_line(line: Line, separators: tuple[str, str] = (", ", ": ")) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False, separators=separators).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only escape
        return json.dumps(line, separators=separators).encode() + b"\n"


def compact_json_line(line: Line) -> bytes:
    return json_line(line, (",", ":"))


def literal_line(line: Line) -> bytes:
    return ascii(line).encode() + b"\n"


def csv_line(values: Any, end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerow("" if value is None else value for value in values)
    return text.getvalue().encode()


def csv_encode(end: str = "\n") -> Callable[[Line], bytes]:
    return partial(_csv_encode, end=end)


def _csv_encode(line: Line, end: str) -> bytes:
    return csv_line(line.values(), end)


def split_encode(delimiter: str) -> Callable[[Line], bytes]:
    return partial(_split_encode, delimiter=delimiter)


def _split_encode(line: Line, delimiter: str) -> bytes:
    texts = ("" if value is None else str(value) for value in line.values())
    return delimiter.join(texts).encode("latin-1") + b"\n"


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def midnight(moment: datetime) -> int:
    return seconds(moment.replace(hour=0, minute=0, second=0, microsecond=0))


def written_day(day: date) -> str:
    return f"{day:%m} {day.day}, {day:%Y}"
