"""Cut a historical dump into the days on which its records would have arrived; where a landed file comes from."""

import gzip
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import orjson

from recpipe.errors import UserError
from recpipe.sources.delimited import framed_parts
from recpipe.sources.files import parts_of, records_of, sha256_of
from recpipe.sources.formats import CSV, LINES, PARQUET, Format, Layout, dated
from recpipe.sources.lines import Line, Part, lines_of

HELD_BYTES = 64 * 2**20
"""Bytes of the dump held in memory before they are appended to their days: a dump sorted by user touches every day."""

MAX_HEADER = 2**20
"""Bytes of a companion's first line."""

_LINE_OVERHEAD = 150  # bytes that Python needs to hold a line and its number


class Origin(NamedTuple):
    """Where a landed file comes from and how it is read."""

    name: str  # of the file that was landed; archive.zip/file for one out of an archive
    sha256: str  # of it
    layout: Layout
    is_cut: bool  # only some of its records are here; the companion has their line numbers there
    landed_sha256: str = ""  # of the landed file, where it is cut: the line numbers are those of no other file

    @property
    def file_sha256(self) -> str:
        """Of the landed file; empty in an old companion of a cut file."""
        return self.landed_sha256 if self.is_cut else self.sha256

    def is_of(self, sha256: str) -> bool:
        """Whether a landed file of this hash is as it was landed; always, where the companion does not tell."""
        return self.file_sha256 in ("", sha256)


def origin_file(path: Path) -> Path:
    """Beside a landed file, gzip text: `Origin` as a line of JSON, then for a cut file a line for each of its records.

    That is the record's line number in the dump and, of CSV, how many lines it has; old companions lack the latter.
    """
    return path.with_name(f"_{path.name}.origin")


def write_origin(path: Path, origin: Origin) -> None:
    _append(origin_file(path), [_header(origin)])


def _header(origin: Origin) -> bytes:
    format_, framing, columns, has_header = origin.layout
    said = {"origin": origin.name, "sha256": origin.sha256, "format": format_.name, "kind": format_.kind}
    said |= {"landed_sha256": origin.landed_sha256} if origin.is_cut else {}
    said |= {"framing": framing, "columns": columns, "has_header": has_header, "is_cut": origin.is_cut}
    return json.dumps(said).encode() + b"\n"


def read_origin(path: Path, formats: Sequence[Format]) -> Origin | None:
    """What is known of the landed file ``path``; None for a file that was put there by hand.

    Raises:
        UserError: the companion is not as `recpipe land` wrote it, or names a format that is not among ``formats``.
    """
    if not origin_file(path).exists():
        return None
    try:
        with gzip.open(origin_file(path), "rb") as file:
            said = orjson.loads(file.readline(MAX_HEADER))
        [format_] = [known for known in formats if (known.name, known.kind) == (said["format"], said["kind"])] or [None]
        layout = Layout(format_, said["framing"], tuple(map(str, said["columns"])), bool(said["has_header"]))
        landed_sha256 = str(said.get("landed_sha256", ""))  # an old companion has none
        origin = Origin(str(said["origin"]), str(said["sha256"]), layout, bool(said["is_cut"]), landed_sha256)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _spoilt(path, error) from None
    if format_ is None:
        raise UserError(
            f"expected the format {said['format']} ({said['kind']}) of {path} to be known, found no such one; "
            "name it in the settings again, or remove the file and land it in another format"
        )
    return origin


def origin_lines(path: Path) -> Iterator[int]:
    """For each record of the landed file its line number in the dump.

    Raises:
        UserError: as `read_origin`.
    """
    return (number for number, _ in _entries(path))


def cut_records(path: Path, layout: Layout) -> Iterator[Line]:
    """Every record of a file that was cut out of a dump, as `records_of` gives them, each with the lines that it had
    there: a quote that nothing closes in the dump may be closed by what follows in the cut file.

    Raises:
        UserError: as `read_origin`, or the file cannot be read to its end.
    """
    _, length = next(_entries(path), (0, 0))
    if not length:
        return records_of(path, layout)
    return lines_of(framed_parts(path, (length for _, length in _entries(path))))


def _entries(path: Path) -> Iterator[tuple[int, int]]:
    """Line number in the dump and number of lines of each record; 0 where the companion does not tell."""
    try:
        with gzip.open(origin_file(path), "rt") as file:
            next(file)
            for line in file:
                number, *length = map(int, line.split())
                yield number, length[0] if length else 0
    except (OSError, EOFError, ValueError) as error:
        raise _spoilt(path, error) from None


def _spoilt(path: Path, error: Exception) -> UserError:
    return UserError(f"expected {origin_file(path)} as `recpipe land` wrote it, found: {error!r}; land the dump again")


def cut(path: Path, name: str, layout: Layout, first: date, folder: Path) -> dict[date, int]:
    """Write the dump's records, byte for byte, into gzip files `arrived_on=DAY/<cut_name(name)>` under ``folder``.

    Records dated up to ``first`` and those without a date go to ``first``, the others to the UTC day of their date.
    One pass in bounded memory; equal dumps give equal bytes. Rows of Parquet become lines of JSON. The header of CSV
    goes into the companions. Gives the number of records by day.
    """
    framing = LINES if layout.framing == PARQUET else layout.framing
    origin = Origin(name, sha256_of(path), layout._replace(framing=framing, has_header=False), is_cut=True)
    days, decode = _Days(cut_name(name), origin, folder), layout.decoder()
    number, day = 0, first
    for part in parts_of(path, layout):
        if part.number != number:
            day = first if part.too_long else max(first, dated(part.content, layout.format, decode) or first)
            days.lines[day] += 1
            days.entries[day].append(_entry(part, framing))
            number = part.number
        days.hold(day, part.content)
    days.close()
    return dict(days.lines)


def _entry(part: Part, framing: str) -> bytes:
    """The companion's line on the record that starts with ``part``."""
    if framing != CSV:
        return b"%d\n" % part.number
    length = 1 if part.too_long else part.content.removesuffix(b"\n").count(b"\n") + 1
    return b"%d %d\n" % (part.number, length)


def landed_name(name: str) -> str:
    """Of the landed file whose `Origin.name` is ``name``."""
    return name.replace("/", ".")


def cut_name(name: str) -> str:
    name = landed_name(name)
    return name if name.endswith(".gz") else f"{name}.gz"


class _Days:
    """The files of every day, appended to in turns, so that none has to stay open."""

    def __init__(self, name: str, origin: Origin, folder: Path) -> None:
        self.name, self.origin, self.folder = name, origin, folder
        self.lines: dict[date, int] = defaultdict(int)
        self.entries: dict[date, list[bytes]] = defaultdict(list)  # of the companions
        self._contents: dict[date, list[bytes]] = defaultdict(list)
        self._held = 0

    def hold(self, day: date, content: bytes) -> None:
        self._contents[day].append(content)
        self._held += len(content) + _LINE_OVERHEAD
        if self._held > HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        for day, contents in self._contents.items():
            file = self._file(day)
            file.parent.mkdir(parents=True, exist_ok=True)
            _append(file, contents)
            _append(_entries_file(file), self.entries.pop(day, []))
        self._contents.clear()
        self._held = 0

    def close(self) -> None:
        """Write what is held, and the companions: a file's hash, which comes first there, is known last."""
        self.flush()
        for day in self.lines:
            file = self._file(day)
            entries = _entries_file(file)
            write_origin(file, self.origin._replace(landed_sha256=sha256_of(file)))
            with entries.open("rb") as source, origin_file(file).open("ab") as companion:
                shutil.copyfileobj(source, companion)
            entries.unlink()

    def _file(self, day: date) -> Path:
        return self.folder / f"arrived_on={day}" / self.name


def _entries_file(path: Path) -> Path:
    return path.with_name(f"_{path.name}.lines")


def _append(path: Path, contents: list[bytes]) -> None:
    """As a gzip member of its own, without a time, since equal dumps give equal bytes."""
    with path.open("ab") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as member:
        member.writelines(contents)
