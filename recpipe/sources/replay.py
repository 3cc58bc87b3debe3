"""Cut a historical dump into the days on which its lines would have arrived."""

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from recpipe.errors import UserError
from recpipe.sources.amazon import FORMATS, KINDS, Dialect, reviewed_on
from recpipe.sources.lines import read_parts

HELD_BYTES = 64 * 2**20
"""Bytes of the dump held in memory before they are appended to their days: a dump sorted by user touches every day."""

_LINE_OVERHEAD = 150  # bytes that Python needs to hold a line and its number


class Origin(NamedTuple):
    """The dump that a file was cut out of."""

    name: str
    sha256: str
    dialect: Dialect


def origin_file(path: Path) -> Path:
    """Beside a file that was cut out of a dump, gzip text: `Origin` as a line of JSON, then a line number a line."""
    return path.with_name(f"_{path.name}.origin")


def read_origin(path: Path) -> Origin | None:
    """What the landed file ``path`` was cut out of; None for a file that landed whole.

    Raises:
        UserError: the companion is not as `cut` wrote it.
    """
    if not origin_file(path).exists():
        return None
    try:
        with gzip.open(origin_file(path), "rt") as file:
            said = json.loads(file.readline())
        dialect = Dialect(said["format"], said["kind"])
        if dialect.format not in FORMATS or dialect.kind not in KINDS:
            raise ValueError(f"unknown dialect {dialect}")
        return Origin(said["origin"], said["sha256"], dialect)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _spoilt(path, error) from None


def origin_lines(path: Path) -> Iterator[int]:
    """For each line of the landed file its line number in the dump.

    Raises:
        UserError: as `read_origin`.
    """
    try:
        with gzip.open(origin_file(path), "rt") as file:
            next(file)
            yield from map(int, file)
    except (OSError, EOFError, ValueError) as error:
        raise _spoilt(path, error) from None


def _spoilt(path: Path, error: Exception) -> UserError:
    return UserError(f"expected {origin_file(path)} as `recpipe land` wrote it, found: {error!r}; land the dump again")


def cut(path: Path, dialect: Dialect, first: date, folder: Path) -> dict[date, int]:
    """Write the dump's lines, byte for byte, into gzip files `arrived_on=DAY/<name>` under ``folder``.

    Lines dated up to ``first`` and lines without a date go to ``first``, the others to the UTC day of their date. One
    pass in bounded memory; equal dumps give equal bytes. Gives the number of lines by day.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    days = _Days(path, Origin(path.name, sha256, dialect), folder)
    number, day = 0, first
    for part in read_parts(path):
        if part.number != number:
            day = first if part.too_long else max(first, reviewed_on(part.content, dialect) or first)
            days.lines[day] += 1
            days.numbers[day].append(part.number)
            number = part.number
        days.hold(day, part.content)
    days.flush()
    return dict(days.lines)


def cut_name(path: Path) -> str:
    return path.name if path.name.endswith(".gz") else f"{path.name}.gz"


class _Days:
    """The files of every day, appended to in turns, so that none has to stay open."""

    def __init__(self, path: Path, origin: Origin, folder: Path) -> None:
        self.name, self.folder = cut_name(path), folder
        self.header = json.dumps({"origin": origin.name, "sha256": origin.sha256, **origin.dialect._asdict()})
        self.lines: dict[date, int] = defaultdict(int)
        self.numbers: dict[date, list[int]] = defaultdict(list)
        self._contents: dict[date, list[bytes]] = defaultdict(list)
        self._held = 0

    def hold(self, day: date, content: bytes) -> None:
        self._contents[day].append(content)
        self._held += len(content) + _LINE_OVERHEAD
        if self._held > HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        for day, contents in self._contents.items():
            file = self.folder / f"arrived_on={day}" / self.name
            numbers = "".join(f"{number}\n" for number in self.numbers.pop(day, ()))
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                numbers = f"{self.header}\n{numbers}"
            _append(file, contents)
            _append(origin_file(file), [numbers.encode()])
        self._contents.clear()
        self._held = 0


def _append(path: Path, contents: list[bytes]) -> None:
    """As a gzip member of its own, without a time, since equal dumps give equal bytes."""
    with path.open("ab") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as member:
        member.writelines(contents)
