"""Text whose fields stand between delimiters: CSV as of RFC 4180, and lines such as ``1::1193::5::978300760``."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path

from recpipe.sources.lines import MAX_LINE, Part, read_parts
from recpipe.sources.records import Decode, Fields, RejectError, decode_text

MAX_RECORD = 2**20
"""Bytes of the longest CSV record that goes over more than one line."""

_QUOTED = (b'"', b'\xef\xbb\xbf"')  # starts of a line that starts with a quote, one behind a byte order mark

csv.field_size_limit(MAX_LINE + 1)


def csv_parts(path: Path, delimiter: str) -> Iterator[Part]:
    """Every record of a CSV file that is not blank, byte for byte, with the number of its first line.

    A quoted field may hold line ends. A quote that is not closed within MAX_RECORD bytes, or before the file ends,
    or only by one that no field can end with, makes a record of its one line alone, so that it cannot take the
    records behind it along. Each line is looked at once or twice, whatever the file holds.

    Raises:
        UserError: as `read_parts`.
    """
    between, lines = delimiter.encode(), read_parts(path, blank=True)
    ahead, size, is_stopped = deque[Part](), 0, False  # ahead: lines in which an open quote is not closed
    while part := ahead.popleft() if ahead else next(lines, None):
        size = max(0, size - len(part.content))
        is_stopped = is_stopped and bool(ahead)  # the last line ahead can be in no quote
        if part.too_long or _quote(part.content, between, is_open=False) is not _Quote.OPEN:
            if part.too_long or part.content.strip():
                yield part
            continue
        is_closed = False
        while not (is_closed or is_stopped) and size + len(part.content) <= MAX_RECORD and (more := next(lines, None)):
            ahead.append(more)
            size += len(more.content)
            quote = _Quote.BROKEN if more.too_long else _quote(more.content, between, is_open=True)
            is_closed, is_stopped = quote is _Quote.CLOSED, quote is _Quote.BROKEN
        if is_closed:
            yield Part(part.number, part.content + b"".join(line.content for line in ahead), too_long=False)
            ahead.clear()
            size = 0
        else:
            yield part


def framed_parts(path: Path, lengths: Iterator[int]) -> Iterator[Part]:
    """Every record of a CSV file, as `csv_parts` gives them, where it is known how many lines each of them has.

    Raises:
        UserError: as `read_parts`.
    """
    held: list[Part] = []
    number, left = 0, 0
    for part in read_parts(path, blank=True):
        if part.number != number:
            left = (left or next(lengths, 1)) - 1
            number = part.number
        if part.too_long:  # a record of its own, in several parts
            yield part
            continue
        held.append(part)
        if not left:
            yield Part(held[0].number, b"".join(line.content for line in held), too_long=False)
            held = []


class _Quote(Enum):
    OPEN = auto()  # the field goes on behind the line
    CLOSED = auto()
    BROKEN = auto()  # text stands behind a closing quote


def _quote(line: bytes, delimiter: bytes, is_open: bool) -> _Quote:
    """How a line leaves the field that it ends in. Quotes inside a field that does not start with one are text."""
    opening, place = delimiter + b'"', 0
    if not is_open:
        place = line.index(b'"') + 1 if line.startswith(_QUOTED) else _behind(opening, line, 0)
    while place >= 0:
        place = _closed(line, place)
        if place < 0:
            return _Quote.OPEN
        if place < len(line) and not line.startswith((delimiter, b"\r", b"\n"), place):
            return _Quote.BROKEN
        place = _behind(opening, line, place)
    return _Quote.CLOSED


def _behind(mark: bytes, line: bytes, place: int) -> int:
    """The place behind the next mark, or -1."""
    found = line.find(mark, place)
    return found + len(mark) if found >= 0 else -1


def _closed(line: bytes, place: int) -> int:
    """The place behind the quote that closes a field, or -1; a doubled quote stands for itself."""
    while (place := line.find(b'"', place)) >= 0:
        if line[place + 1 : place + 2] != b'"':
            return place + 1
        place += 2
    return -1


def csv_decoder(columns: Sequence[str], delimiter: str, encoding: str) -> Decode:
    """Decodes a CSV record into fields named by ``columns``; all of them are text."""

    def decode(content: bytes) -> tuple[Fields, list[str]]:
        text, notes = decode_text(content, encoding)
        return _named(csv_fields(text, delimiter), columns), notes

    return decode


def csv_fields(text: str, delimiter: str) -> list[str]:
    """Raises:
    RejectError: a quote is not closed, or text stands behind a closing one.
    """
    try:
        [fields] = csv.reader([text.rstrip("\r\n")], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        raise RejectError("not_csv") from None
    return fields


def split_decoder(columns: Sequence[str], delimiter: str, encoding: str) -> Decode:
    """Decodes a line whose fields stand between delimiters that they cannot hold."""

    def decode(content: bytes) -> tuple[Fields, list[str]]:
        text, notes = decode_text(content, encoding)
        return _named(text.rstrip("\r\n").split(delimiter), columns), notes

    return decode


def _named(fields: list[str], columns: Sequence[str]) -> Fields:
    if len(fields) != len(columns):
        raise RejectError("wrong_number_of_fields")
    return dict(zip(columns, fields, strict=True))
