"""The landing folder: what arrived on which day.

`landing/KIND/arrived_on=YYYY-MM-DD/<file>`, where KIND is reviews, events, items or users. Names that start with
`_` or `.` are no data.
"""

import fcntl
import filecmp
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recpipe.errors import UserError
from recpipe.sources.files import hashed, layout_of, records_of
from recpipe.sources.formats import Format, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.replay import Origin, cut, cut_name, origin_file, write_origin
from recpipe.tables import KINDS, MIN_DAY

_DAY_FOLDER = re.compile(r"arrived_on=(\d{4}-\d{2}-\d{2})")


class LandedFile(NamedTuple):
    kind: str
    arrived_on: date
    path: Path


@dataclass
class Landed:
    """What `land` did with one file."""

    file: str  # its name in the day folders
    layout: Layout
    lines: dict[date, int]  # that are not blank, by day of arrival
    known: int = 0  # days on which it lay there already, byte for byte

    def __str__(self) -> str:
        first, last, total = min(self.lines), max(self.lines), sum(self.lines.values())
        days = f"on {first}" if first == last else f"on {len(self.lines)} days, {first} to {last}"
        known = f"; {self.known} of its files had landed before" if self.known else ""
        return f"{self.file}: {total:,} lines of {self.layout.format} {days}{known}"


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


@dataclass(frozen=True)
class Choice:
    """How files are to be read, as the user says it."""

    format: str  # name
    formats: Sequence[Format] = FORMATS  # that there are
    columns: tuple[str, ...] = ()  # of CSV files without a header

    def layout_of(self, path: Path) -> Layout:
        """Raises:
        UserError: there is no such format, or the file is missing, unreadable, empty or in another one.
        """
        chosen = [format_ for format_ in self.formats if format_.name == self.format]
        if not chosen:
            names = ", ".join(dict.fromkeys(format_.name for format_ in self.formats))
            raise UserError(f"expected a format out of {names}, found {self.format!r}; give --format")
        _require_file(path)
        try:
            layout = layout_of(path, chosen, self.columns)
        except UserError:
            if (other := self._other_layout(path)) and other.format.name != self.format:
                found = other.format.name
                raise UserError(f"expected {self.format} in {path}, found {found}; give --format {found}") from None
            raise
        if layout is None:
            raise UserError(f"expected lines in {path}, found none; fetch it again")
        return layout

    def _other_layout(self, path: Path) -> Layout | None:
        with suppress(UserError):
            return layout_of(path, self.formats)
        return None


def land(
    files: Sequence[Path], choice: Choice, landing: Path, arrived_on: date, sealed_days: Collection[date] = frozenset()
) -> list[Landed]:
    """Put whole files into the folder of ``arrived_on``.

    All is written aside first, then renamed; the same command once more finishes what was interrupted.

    Raises:
        UserError: a file is missing, unreadable, empty or of another format, its day is sealed, another file of its
            name landed there, or the disk is full.
    """
    _require_open(arrived_on, sealed_days)
    return _land(files, choice, landing, partial(_copy, day=arrived_on))


def replay(
    files: Sequence[Path], choice: Choice, landing: Path, replay_from: date, sealed_days: Collection[date] = frozenset()
) -> list[Landed]:
    """Cut historical dumps into the days on which their records would have arrived.

    What a dump has up to ``replay_from`` arrives on that day, together with every record that has no date; what is
    dated later arrives on its own UTC day. Records stay as they are, byte for byte.

    Raises:
        UserError: as `land`.
    """
    _require_open(replay_from, sealed_days)
    return _land(files, choice, landing, partial(_cut, first=replay_from))


def _land(
    files: Sequence[Path], choice: Choice, landing: Path, put: Callable[[Path, Layout, Path], Landed]
) -> list[Landed]:
    layouts = [choice.layout_of(path) for path in files]
    with _aside(landing) as folder:
        reports = [put(path, layout, folder) for path, layout in zip(files, layouts, strict=True)]
        _move(folder, landing, reports)
    return reports


def _require_open(day: date, sealed_days: Collection[date]) -> None:
    if day < MIN_DAY:
        raise UserError(f"expected a day from {MIN_DAY} on, found {day}; name a later day")
    if sealed_days and day <= (last := max(sealed_days)):
        raise UserError(f"expected a day after {last}, up to which all days are sealed, found {day}; name a later day")


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


def _copy(path: Path, layout: Layout, folder: Path, day: date) -> Landed:
    target = folder / layout.format.kind / f"arrived_on={day}" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    write_origin(target, Origin(path.name, hashed(target).sha256, layout, is_cut=False))
    return Landed(path.name, layout, {day: sum(1 for _ in records_of(target, layout))})


def _cut(path: Path, layout: Layout, folder: Path, first: date) -> Landed:
    return Landed(cut_name(path.name), layout, cut(path, path.name, layout, first, folder / layout.format.kind))


def _move(folder: Path, landing: Path, reports: list[Landed]) -> None:
    """Put the written files up; those that lie there already, byte for byte, are left alone."""
    names = [(report.layout.format.kind, report.file) for report in reports]
    if len(set(names)) < len(names):
        raise UserError(
            f"expected files of different names, found two named {max(names, key=names.count)[1]}; rename one"
        )
    moves = []
    for report in reports:
        for day in sorted(report.lines):
            place = Path(report.layout.format.kind) / f"arrived_on={day}" / report.file
            if not (landing / place).exists():
                moves.append(place)
            elif filecmp.cmp(folder / place, landing / place, shallow=False):
                report.known += 1
            else:
                raise UserError(f"expected no other file at {landing / place}, found one; rename the new file")
    for place in moves:
        (landing / place).parent.mkdir(parents=True, exist_ok=True)
        # First, so that no landed file ever lies there without its origin.
        origin_file(folder / place).replace(origin_file(landing / place))
        (folder / place).replace(landing / place)
