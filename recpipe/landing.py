"""The landing folder: what arrived on which day.

`landing/KIND/arrived_on=YYYY-MM-DD/<file>`, where KIND is reviews, events, items or users; pictures lie beside them,
see `images.py`. Names that start with `_` or `.` are no data.
"""

import filecmp
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.choice import Choice, Dump, require_file
from recpipe.errors import UserError
from recpipe.files import empty_folder
from recpipe.locks import file_lock
from recpipe.sources.files import records_of, sha256_of
from recpipe.sources.formats import Format, Layout
from recpipe.sources.replay import Origin, cut, cut_name, landed_name, origin_file, read_origin, write_origin
from recpipe.tables import ARRIVALS, KINDS, MIN_DAY

ASIDE = ".landing"
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
    not_taken: tuple[str, ...] = ()  # names of the archive's files that are none of the format's

    def __str__(self) -> str:
        first, last, total = min(self.lines), max(self.lines), sum(self.lines.values())
        days = f"on {first}" if first == last else f"on {len(self.lines)} days, {first} to {last}"
        to_come = {day: count for day, count in self.lines.items() if day >= datetime.now(UTC).date()}
        waits = f"; {sum(to_come.values()):,} of them wait for days that are not over, to {last}" if to_come else ""
        known = f"; {self.known} of its files had landed before" if self.known else ""
        not_taken = f"; not taken: {', '.join(self.not_taken)}" if self.not_taken else ""
        return f"{self.file}: {total:,} lines of {self.layout.format} {days}{waits}{known}{not_taken}"


def landed_files(landing: Path, kinds: Sequence[str] = KINDS) -> list[LandedFile]:
    """Every data file of ``kinds``, by day, kind and name.

    Raises:
        UserError: something lies there that is neither a day folder nor a file in one.
    """
    found = []
    for kind in kinds:
        for folder in _data_in(landing / kind):
            day = _folder_day(folder)
            for path in _data_in(folder):
                require_file(path)
                found.append(LandedFile(kind, day, path))
    return sorted(found, key=lambda file: (file.arrived_on, file.kind, file.path.name))


def _data_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name[0] not in "_."] if folder.is_dir() else []


def _folder_day(folder: Path) -> date:
    match = _DAY_FOLDER.fullmatch(folder.name)
    try:
        day = date.fromisoformat(match[1] if match else "")
    except ValueError:
        raise UserError(f"expected a folder such as arrived_on=2024-01-31, found {folder}; rename or move it") from None
    if day < MIN_DAY:  # else every day since would be sealed as one on which nothing arrived
        raise UserError(f"expected a folder of a day from {MIN_DAY} on, found {folder}; rename or move it")
    return day


def land(
    files: Sequence[Path], choice: Choice, landing: Path, arrived_on: date, lake: Path | None = None
) -> list[Landed]:
    """Put whole files into the folder of ``arrived_on``; out of a zip archive, those of its files that have the format.

    All is written aside first, then renamed, unless ``lake`` has taken the day in meanwhile; the same command once more
    finishes what was interrupted.

    Raises:
        UserError: a file is missing, unreadable, empty or of another format, its day is sealed, another file of its
            name landed there, or the disk is full.
    """
    require_open(arrived_on, lake)
    return _land(files, choice, landing, partial(_copy, day=arrived_on), lake)


def replay(
    files: Sequence[Path], choice: Choice, landing: Path, replay_from: date, lake: Path | None = None
) -> list[Landed]:
    """Cut historical dumps into the days on which their records would have arrived.

    What a dump has up to ``replay_from`` arrives on that day, together with every record that has no date; what is
    dated later arrives on its own UTC day. Records stay as they are, byte for byte.

    Raises:
        UserError: as `land`.
    """
    require_open(replay_from, lake)
    return _land(files, choice, landing, partial(_cut, first=replay_from), lake)


def _land(
    files: Sequence[Path], choice: Choice, landing: Path, put: Callable[[Dump, Path], Landed], lake: Path | None
) -> list[Landed]:
    found = [choice.dump_of(path) for path in files]
    with aside(landing) as folder:
        reports = []
        for dump in found:
            dumps = [dump] if isinstance(dump, Dump) else choice.unpacked(dump, folder / "unpacked")
            reports += [put(dump, folder) for dump in dumps]
        with no_ingest(lake):
            moves = _to_move(folder, landing, reports, choice.formats)
            if moves:
                require_open(min(_folder_day(place.parent) for place in moves), lake)
            for place in moves:
                (landing / place).parent.mkdir(parents=True, exist_ok=True)
                # First, so that no landed file ever lies there without its origin.
                origin_file(folder / place).replace(origin_file(landing / place))
                (folder / place).replace(landing / place)
    return reports


def require_open(day: date, lake: Path | None) -> None:
    """Raises:
    UserError: the day is before 1995, or sealed in ``lake``.
    """
    if day < MIN_DAY:
        raise UserError(f"expected a day from {MIN_DAY} on, found {day}; name a later day")
    sealed_days = delta.days(lake, ARRIVALS) if lake else ()
    if sealed_days and day <= (last := max(sealed_days)):
        raise UserError(f"expected a day after {last}, up to which all days are sealed, found {day}; name a later day")


def no_ingest(lake: Path | None) -> AbstractContextManager[None]:
    """Held by a run of ingest from when it lists its files until it has sealed their days, and by what adds files.

    Landing waits for it, since a file that came in between would lie in a sealed day, and nobody would read it.
    """
    return file_lock(lake / ".locks" / "ingest_reviews.lock") if lake else nullcontext()


@contextmanager
def aside(landing: Path) -> Iterator[Path]:
    """An empty folder on the landing's own disk, so that a rename suffices to put files up; one landing at a time."""
    try:
        with file_lock(landing / ".lock"), empty_folder(landing / ASIDE) as folder:
            yield folder
    except OSError as error:
        raise UserError(f"expected to write into {landing}, found: {error}; mend it and land again") from None


def remove_left_over(landing: Path) -> None:
    """What a landing that was killed left; waits for one that is under way."""
    if (folder := landing / ASIDE).exists():
        with file_lock(landing / ".lock"):
            shutil.rmtree(folder, ignore_errors=True)


def _copy(dump: Dump, folder: Path, day: date) -> Landed:
    name, layout = landed_name(dump.origin), dump.layout
    target = folder / layout.format.kind / f"arrived_on={day}" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if dump.is_unpacked:
        dump.path.replace(target)
    else:
        shutil.copyfile(dump.path, target)
    write_origin(target, Origin(dump.origin, sha256_of(target), layout, is_cut=False))
    return Landed(name, layout, {day: sum(1 for _ in records_of(target, layout))}, not_taken=dump.not_taken)


def _cut(dump: Dump, folder: Path, first: date) -> Landed:
    lines = cut(dump.path, dump.origin, dump.layout, first, folder / dump.layout.format.kind)
    if not lines:
        raise UserError(f"expected records in {dump.origin}, found none; leave it out, or land it on a day as it is")
    return Landed(cut_name(dump.origin), dump.layout, lines, not_taken=dump.not_taken)


def _to_move(folder: Path, landing: Path, reports: list[Landed], formats: Sequence[Format]) -> list[Path]:
    """Files in ``folder`` that do not lie there already, byte for byte and to be read alike.

    Raises:
        UserError: two have one name, or another file of a name lies there.
    """
    names = [(report.layout.format.kind, report.file) for report in reports]
    if len(set(names)) < len(names):
        raise UserError(
            f"expected files of different names, found two named {max(names, key=names.count)[1]}; rename one"
        )
    moves = []
    for report in reports:
        for day in sorted(report.lines):
            place = Path(report.layout.format.kind) / f"arrived_on={day}" / report.file
            is_known = (landing / place).exists()
            report.known += is_known
            if not (is_known and _is_read_alike(folder / place, landing / place, formats)):
                moves.append(place)
    return moves


def _is_read_alike(new: Path, there: Path, formats: Sequence[Format]) -> bool:
    """Whether the companion of the file that lies there says of it what that of the new one does.

    It has none where the file was put there by hand, and one of other bytes where it was mended there.

    Raises:
        UserError: it is another file, or landed to be read otherwise.
    """
    if not filecmp.cmp(new, there, shallow=False):
        raise UserError(f"expected no other file at {there}, found one; rename the new file")
    landed, wanted = read_origin(there, formats), read_origin(new, formats)
    if landed is None or wanted is None or not landed.is_of(wanted.file_sha256):
        return False
    if landed.layout != wanted.layout:
        raise UserError(
            f"expected {there} as it landed, {landed.layout}, found {wanted.layout}; remove it, or rename the new file"
        )
    return True
