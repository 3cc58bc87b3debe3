"""Files of any format: which it is, and its records one after another in bounded memory."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import dropwhile, islice
from pathlib import Path
from typing import NamedTuple

from recpipe.errors import UserError
from recpipe.sources import delimited, parquet
from recpipe.sources.formats import CSV, LINES, PARQUET, Format, Layout
from recpipe.sources.lines import MAX_LINE, Line, Part, Span, lines_of, read_parts
from recpipe.sources.mapped import seen
from recpipe.sources.records import Decode, Fields, RejectError, decode_text

DETECTED_LINES = 100
"""Lines by which a file's format is told."""

SPAN_BYTES = 32 * 2**20
"""Of a plain file of lines that one task reads; a larger one is split."""


def parts_of(path: Path, layout: Layout, span: Span | None = None) -> Iterator[Part]:
    """Every record of a file, byte for byte; a row of Parquet as a line of JSON. The header is none.

    Raises:
        UserError: the file cannot be read to its end.
    """
    if layout.framing == PARQUET:
        return parquet.parquet_parts(path)
    if layout.framing == LINES:
        return read_parts(path, span)
    parts = delimited.csv_parts(path, layout.format.delimiter)
    return _behind_header(parts) if layout.has_header else parts


def _behind_header(parts: Iterator[Part]) -> Iterator[Part]:
    header = next(parts, None)  # one that is too long goes on in further parts
    return dropwhile(lambda part: part.number == header.number, parts)


def records_of(path: Path, layout: Layout, span: Span | None = None) -> Iterator[Line]:
    """Every record of a file without its line end, with the number of its first line.

    Raises:
        UserError: as `parts_of`.
    """
    return lines_of(parts_of(path, layout, span))


def layout_of(path: Path, formats: Sequence[Format], columns: tuple[str, ...] = ()) -> Layout | None:
    """How a file is read, as the format that most of its first lines are like; None for a file without lines.

    ``columns`` name the fields of a CSV file that has no header.

    Raises:
        UserError: the file cannot be read, or is in none of the formats.
    """
    if is_parquet(path):
        names = parquet.parquet_columns(path)
        found = _columns_like(names, [f for f in formats if f.framing == PARQUET])
        if found is None:
            raise UserError(_expected(formats, path, "a Parquet file with other columns; name them in a mapping"))
        _require_once(path, found.needs, names)
        return Layout(found, PARQUET)
    first = _first_lines(path)
    if not first:
        return None
    if columns:
        return _csv_layout(path, formats, columns)
    votes: Counter[Format] = Counter()
    for format_ in formats:
        if format_.framing == LINES:
            votes[format_] = sum(_is_like(content, format_) for content in first)
        elif format_.framing == CSV and (header := _header(first[0], format_)) and format_.is_like(dict(header)):
            return _of_columns(path, format_, tuple(name for name, _ in header), has_header=True)
    format_, most = votes.most_common(1)[0] if votes else (None, 0)
    start = first[0].removeprefix(b"\xef\xbb\xbf").lstrip()
    if format_ is None or not most or not start.startswith(format_.opening):
        found = f"{start[:40]!r} at its start; fetch or convert it again"
        if missing := _missing(first, formats):
            found = f"no {', '.join(missing)} in its first lines; name the fields that it has in the settings"
        raise UserError(_expected(formats, path, found))
    return Layout(format_, LINES)


def fields_seen(path: Path, format_: Format, places: Iterable[str]) -> set[str]:
    """Fields of a mapping of JSON lines that the first lines have."""
    return seen(places, _decoded(_first_lines(path), format_))


def _missing(first: list[bytes], formats: Sequence[Format]) -> list[str]:
    """Fields without which a line is none of the only format, where that is a mapping of JSON lines."""
    if len(formats) != 1 or not formats[0].needs or formats[0].framing != LINES:
        return []
    required = [place for place in formats[0].needs if place not in formats[0].may_lack]
    records = _decoded(first, formats[0])
    there = seen(required, records)
    return [place for place in required if place not in there] if records else []


def _decoded(contents: Iterable[bytes], format_: Format) -> list[Fields]:
    found = []
    for content in contents:
        with suppress(RejectError):
            found.append(format_.decode(content)[0])
    return found


def _first_lines(path: Path) -> list[bytes]:
    found, size = [], 0
    for line in islice(lines_of(read_parts(path)), DETECTED_LINES):
        found.append(line.content)
        size += len(line.content)
        if size > MAX_LINE:  # a hundred of the longest would be more than a task may hold
            break
    return found


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(parquet.MAGIC)) == parquet.MAGIC


def _is_like(content: bytes, format_: Format) -> float:
    try:
        return format_.is_like(format_.decode(content)[0])
    except RejectError:
        return 0


def _header(first: bytes, format_: Format) -> list[tuple[str, str]]:
    """Names of a header, paired with nothing; none where the line is no CSV."""
    try:
        names = delimited.csv_fields(decode_text(first, format_.encoding)[0], format_.delimiter)
    except RejectError:
        return []
    return [(name.strip(), "") for name in names]


def _csv_layout(path: Path, formats: Sequence[Format], columns: tuple[str, ...]) -> Layout:
    found = _columns_like(columns, [format_ for format_ in formats if format_.framing == CSV])
    if found is None:
        raise UserError(_expected(formats, path, f"no CSV format with columns {', '.join(columns)}; name others"))
    layout = _of_columns(path, found, columns, has_header=False)
    decode = layout.decoder()
    if not any(_is_decoded(line.content, decode) for line in islice(records_of(path, layout), DETECTED_LINES)):
        raise UserError(_expected([found], path, f"no record of {len(columns)} fields; name the columns that it has"))
    return layout


def _is_decoded(content: bytes, decode: Decode) -> bool:
    try:
        decode(content)
    except RejectError:
        return False
    return True


def _of_columns(path: Path, format_: Format, columns: tuple[str, ...], has_header: bool) -> Layout:
    _require_once(path, format_.needs or columns, columns)
    return Layout(format_, CSV, columns, has_header)


def _require_once(path: Path, needs: Sequence[str], columns: Sequence[str]) -> None:
    for place in needs:
        name = place if place in columns else place.partition(".")[0]
        if name and (times := columns.count(name)) > 1:
            raise UserError(f"expected one column {name} in {path}, found {times}; rename the others")


def _columns_like(columns: Sequence[str], formats: Sequence[Format]) -> Format | None:
    return next((format_ for format_ in formats if format_.is_like(dict.fromkeys(columns, ""))), None)


def _expected(formats: Sequence[Format], path: Path, found: str) -> str:
    needs = {format_: [place for place in format_.needs if place not in format_.may_lack] for format_ in formats}
    wanted = [f"{format_} with {', '.join(needs[format_])}" if needs[format_] else str(format_) for format_ in formats]
    return f"expected {' or '.join(wanted)} in {path}, found {found}"


class Hashed(NamedTuple):
    sha256: str
    spans: tuple[Span, ...]  # that together are the file; one where it is not to be split


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change, by which a file that is replaced is told; None for one that is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashed(path: Path, span_bytes: int = SPAN_BYTES) -> Hashed:
    """The file's SHA-256 and, in the same pass, where it may be split between lines."""
    digest, spans = hashlib.sha256(), []
    start = place = 0
    number = first_number = 1
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
            place += len(chunk)
            last_end = chunk.rfind(b"\n")
            if place - start >= span_bytes and last_end >= 0:
                stop = place - len(chunk) + last_end + 1
                spans.append(Span(start, stop, first_number))
                first_number = number + chunk.count(b"\n")
                start = stop
            number += chunk.count(b"\n")
    spans.append(Span(start, place, first_number))
    return Hashed(digest.hexdigest(), tuple(spans))
