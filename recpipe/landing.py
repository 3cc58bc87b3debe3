"""The landing folder: what arrived on which day.

`landing/reviews/arrived_on=YYYY-MM-DD/<file>`, likewise `items/`; names that start with `_` or `.` are not data.
"""

import fcntl
import filecmp
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from recpipe.errors import UserError
from recpipe.sources import amazon
from recpipe.sources.amazon import FORMATS, KINDS, Dialect
from recpipe.sources.lines import read_lines
from recpipe.sources.replay import cut, cut_name, origin_file
from recpipe.tables import MIN_DAY

DETECTED_LINES = 100
"""Lines by which a file's format is told."""

_DAY_FOLDER = re.compile(r"arrived_on=(\d{4}-\d{2}-\d{2})")


class LandedFile(NamedTuple):
    kind: str
    arrived_on: date
    path: Path


@dataclass
class Landed:
    """What `land` did with one file."""

    file: str  # its name in the day folders
    dialect: Dialect
    lines: dict[date, int]  # that are not blank, by day of arrival
    known: int = 0  # days on which it lay there already, byte for byte

    def __str__(self) -> str:
        first, last, total = min(self.lines), max(self.lines), sum(self.lines.values())
        days = f"on {first}" if first == last else f"on {len(self.lines)} days, {first} to {last}"
        known = f"; {self.known} of its files had landed before" if self.known else ""
        return f"{self.file}: {total:,} lines of {self.dialect.kind} ({self.dialect.format}) {days}{known}"


def landed_files(landing: Path) -> list[LandedFile]:
    """Every data file, by day, kind and name.

    Raises:
        UserError: something lies there that is neither a day folder nor a file in one.
    """
    found = []
    for kind in KINDS:
        for folder in _data_in(landing / kind):
            day = _folder_day(folder)
            for path in _data_in(folder):
                _require_file(path)
                found.append(LandedFile(kind, day, path))
    return sorted(found, key=lambda file: (file.arrived_on, file.kind, file.path.name))


def _data_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name[0] not in "_."] if folder.is_dir() else []


def _folder_day(folder: Path) -> date:
    match = _DAY_FOLDER.fullmatch(folder.name)
    try:
        return date.fromisoformat(match[1] if match else "")
    except ValueError:
        raise UserError(f"expected a folder such as arrived_on=2024-01-31, found {folder}; rename or move it") from None


def _require_file(path: Path) -> None:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise UserError(f"expected a file at {path}, found {found}; check the path")
    if path.name[0] in "_." or not path.name.isprintable():
        raise UserError(f"expected a printable file name not starting with _ or ., found {path.name!r}; rename it")


def dialect_of(path: Path) -> Dialect | None:
    """Format and kind by the file's first lines; None for a file without lines.

    Raises:
        UserError: the file cannot be read, or its format is not known.
    """
    return amazon.detect((line.content for line in islice(read_lines(path), DETECTED_LINES)), str(path))


def land(
    files: Sequence[Path], format_: str, landing: Path, arrived_on: date, sealed_days: Collection[date] = frozenset()
) -> list[Landed]:
    """Put whole files into the folder of ``arrived_on``.

    All is written aside first, then renamed; the same command once more finishes what was interrupted.

    Raises:
        UserError: a file is missing, unreadable, empty or of another format, its day is sealed, another file of its
            name landed there, or the disk is full.
    """
    _require_open(arrived_on, sealed_days)
    return _land(files, format_, landing, partial(_copy, day=arrived_on))


def replay(
    files: Sequence[Path], format_: str, landing: Path, replay_from: date, sealed_days: Collection[date] = frozenset()
) -> list[Landed]:
    """Cut historical dumps into the days on which their lines would have arrived.

    What a dump has up to ``replay_from`` arrives on that day, together with every line that has no date; what is dated
    later arrives on its own UTC day. Lines stay as they are, byte for byte.

    Raises:
        UserError: as `land`.
    """
    _require_open(replay_from, sealed_days)
    return _land(files, format_, landing, partial(_cut, first=replay_from))


def _land(
    files: Sequence[Path], format_: str, landing: Path, put: Callable[[Path, Dialect, Path], Landed]
) -> list[Landed]:
    dialects = [_require_dialect(path, format_) for path in files]
    with _aside(landing) as folder:
        reports = [put(path, dialect, folder) for path, dialect in zip(files, dialects, strict=True)]
        _move(folder, landing, reports)
    return reports


def _require_open(day: date, sealed_days: Collection[date]) -> None:
    if day < MIN_DAY:
        raise UserError(f"expected a day from {MIN_DAY} on, found {day}; name a later day")
    if sealed_days and day <= (last := max(sealed_days)):
        raise UserError(f"expected a day after {last}, up to which all days are sealed, found {day}; name a later day")


def _require_dialect(path: Path, format_: str) -> Dialect:
    if format_ not in FORMATS:
        raise UserError(f"expected a format out of {', '.join(FORMATS)}, found {format_!r}; give --format")
    _require_file(path)
    dialect = dialect_of(path)
    if dialect is None:
        raise UserError(f"expected lines in {path}, found none; fetch it again")
    if dialect.format != format_:
        raise UserError(f"expected {format_} in {path}, found {dialect.format}; give --format {dialect.format}")
    return dialect


@contextmanager
def _aside(landing: Path) -> Iterator[Path]:
    """An empty folder on the landing's own disk, so that a rename suffices to put files up; one landing at a time."""
    try:
        landing.mkdir(parents=True, exist_ok=True)
        with (landing / ".lock").open("a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            folder = landing / ".landing"
            shutil.rmtree(folder, ignore_errors=True)  # of a landing that was killed
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(f"expected to write into {landing}, found: {error}; mend it and land again") from None


def _copy(path: Path, dialect: Dialect, folder: Path, day: date) -> Landed:
    target = folder / dialect.kind / f"arrived_on={day}" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return Landed(path.name, dialect, {day: sum(1 for _ in read_lines(target))})


def _cut(path: Path, dialect: Dialect, folder: Path, first: date) -> Landed:
    return Landed(cut_name(path), dialect, cut(path, dialect, first, folder / dialect.kind))


def _move(folder: Path, landing: Path, reports: list[Landed]) -> None:
    """Put the written files up; those that lie there already, byte for byte, are left alone."""
    names = [(report.dialect.kind, report.file) for report in reports]
    if len(set(names)) < len(names):
        raise UserError(
            f"expected files of different names, found two named {max(names, key=names.count)[1]}; rename one"
        )
    moves = []
    for report in reports:
        for day in sorted(report.lines):
            place = Path(report.dialect.kind) / f"arrived_on={day}" / report.file
            if not (landing / place).exists():
                moves.append(place)
            elif filecmp.cmp(folder / place, landing / place, shallow=False):
                report.known += 1
            else:
                raise UserError(f"expected no other file at {landing / place}, found one; rename the new file")
    for place in moves:
        (landing / place).parent.mkdir(parents=True, exist_ok=True)
        if origin_file(folder / place).exists():  # first, so that no cut file ever lies there without its origin
            origin_file(folder / place).replace(origin_file(landing / place))
        (folder / place).replace(landing / place)
