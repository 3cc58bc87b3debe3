"""Text whose fields stand between delimiters: CSV as of RFC 4180, and lines such as ``1::1193::5::978300760``."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from recpipe.sources.lines import MAX_LINE, Part, read_parts
from recpipe.sources.records import Decode, Fields, RejectError, decode_text

MAX_RECORD = 2**20
"""Bytes of the longest CSV record that goes over more than one line."""

csv.field_size_limit(MAX_LINE + 1)


def csv_parts(path: Path, delimiter: str) -> Iterator[Part]:
    """Every record of a CSV file that is not blank, byte for byte, with the number of its first line.

    A quoted field may hold line ends. A quote that is not closed within MAX_RECORD bytes, or before the file ends,
    makes a record of its one line alone, so that it cannot take the records behind it along.

    Raises:
        UserError: as `read_parts`.
    """
    between = delimiter.encode()
    parts, held = read_parts(path, blank=True), deque[Part]()  # held: read ahead for a quote that was never closed
    while part := held.popleft() if held else next(parts, None):
        if part.too_long or not _ends_open(part.content, between, is_open=False):
            if part.too_long or part.content.strip():
                yield part
            continue
        lines, size, is_open = [part], len(part.content), True
        while is_open and size <= MAX_RECORD and (more := held.popleft() if held else next(parts, None)):
            lines.append(more)
            size += len(more.content)
            is_open = more.too_long or _ends_open(more.content, between, is_open=True)
        if is_open:
            held.extendleft(reversed(lines[1:]))
            yield part
        else:
            yield Part(part.number, b"".join(line.content for line in lines), too_long=False)


def _ends_open(line: bytes, delimiter: bytes, is_open: bool) -> bool:
    """Whether a quoted field goes on behind the line. Quotes inside a field that does not start with one are text."""
    place = 0
    if not is_open and not line.startswith(b'"'):
        place = line.find(delimiter + b'"') + len(delimiter)
        if place < len(delimiter):
            return False
    while True:
        place = _closed(line, place + (not is_open))
        if place < 0:
            return True
        is_open = False
        place = line.find(delimiter + b'"', place) + len(delimiter)
        if place < len(delimiter):
            return False


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
