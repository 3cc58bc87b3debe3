"""Which files of which days a run of ingest takes in. Plain values, no Spark."""

import hashlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.images import landed_pictures
from recpipe.landed_layouts import layout_as_landed
from recpipe.landing import Landed, LandedFile, landed_files, no_ingest
from recpipe.sources.files import hashed, sha256_of, stamp_of
from recpipe.sources.formats import LINES, Format, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import Span, is_gzip
from recpipe.sources.replay import read_origin
from recpipe.tables import ARRIVALS, PICTURES, VERSIONED


class ArrivingFile(NamedTuple):
    arrived_on: date
    kind: str
    path: Path
    file: str  # its name in the day folder; `images` for all the pictures of a day
    layout: Layout | None  # None for a file without lines, and for pictures
    origin: str  # the dump it was cut out of, else as file
    is_cut: bool  # the companion has its lines' numbers in the dump
    sha256: str
    spans: tuple[Span | None, ...]  # stretches that tasks read side by side; None: the whole file
    pictures: tuple[str, ...] = ()  # names of the day's pictures, which lie in the folder ``path``
    is_changed: bool = False  # since it was landed: its lines are read and numbered as they are here
    stamp: tuple[int, int] | None = None  # of the file before it was looked at, see `stamp_of`; None for pictures
    same_as: str | None = None  # DAY/FILE that had these bytes first; set: this one is not read again

    @property
    def format(self) -> str:
        return self.layout.format.name if self.layout else ""

    def as_sealed(self) -> "SealedFile":
        return SealedFile(self.arrived_on, self.kind, self.file, self.sha256, format=self.format)


@dataclass(frozen=True)
class Arriving:
    """The days from ``first`` to ``last`` that are not sealed; none when ``first`` is after ``last``."""

    first: date
    last: date
    files: Sequence[ArrivingFile]
    not_read: Sequence[Path]  # files that showed up in a day after it was sealed

    def files_of(self, kind: str) -> list[ArrivingFile]:
        """Those that are to be read."""
        return [file for file in self.files if file.kind == kind and not file.same_as]

    def repeats(self) -> list[ArrivingFile]:
        """Files that had arrived before, byte for byte."""
        return [file for file in self.files if file.same_as]

    def changed(self) -> list[ArrivingFile]:
        """Files that people changed since they were landed."""
        return [file for file in self.files if file.is_changed]

    def days_without_files(self) -> list[date]:
        with_files = {file.arrived_on for file in self.files}
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return [day for day in days if day not in with_files]

    def require_some(self, max_empty_days: int) -> None:
        """Raises:
        UserError: nothing arrived on the last days, more of them than ``max_empty_days``.
        """
        newest = max((file.arrived_on for file in self.files), default=self.first - timedelta(days=1))
        if (self.last - newest).days > max_empty_days:
            raise UserError(
                f"expected files on the {max_empty_days} days up to {self.last}, found none after {newest}, and a day "
                "that is taken in stays closed; name an earlier day, or raise RECPIPE_MAX_EMPTY_DAYS"
            )


class SealedFile(NamedTuple):
    arrived_on: date
    kind: str
    file: str
    sha256: str = ""  # empty for a day without files
    pictures: int = 0  # files for which the entry stands, where it does not name them
    format: str = ""  # empty for a file without lines, for pictures and for a day without files


def sealed_files(lake: Path) -> set[SealedFile]:
    """What the lake has taken in; a sealed day without files has one entry with an empty name."""
    query = "select arrived_on, kind, file, sha256, if(kind = $pictures, lines_read, 0), format from arrivals"
    with delta.connect(lake, [ARRIVALS]) as connection:
        return {SealedFile(*row) for row in connection.sql(query, params={"pictures": PICTURES}).fetchall()}


@contextmanager
def ingest_lock(lake: Path) -> Iterator[None]:
    """Two runs would take in the same days, so the second waits and then finds them sealed.

    What a run staged that was killed is removed here, since one that finds its days sealed stages nothing.
    """
    with no_ingest(lake):
        shutil.rmtree(lake / delta.STAGING, ignore_errors=True)
        yield


def arriving_files(
    landing: Path, sealed: Collection[SealedFile], ds: date, formats: Sequence[Format] = FORMATS
) -> Arriving:
    """The days up to ``ds`` that are not sealed, from the first arrival on, with their files.

    Raises:
        UserError: nothing ever arrived, or not up to ``ds``; a file is unreadable or of another kind than its folder.
    """
    landed, pictures = landed_files(landing), landed_pictures(landing)
    if not landed and not pictures and not sealed:
        raise UserError(
            f"expected files in {landing}, found none; run `recpipe land FILES --format FORMAT --arrived-on DAY`"
        )
    days = {entry.arrived_on for entry in sealed} or {file.arrived_on for file in landed} | set(pictures)
    if ds < min(days):
        raise UserError(f"expected a day from {min(days)} on, the first arrival, found {ds}; name a later day")
    first = max(days) + timedelta(days=1) if sealed else min(days)
    files = [_arriving(file, formats) for file in landed if first <= file.arrived_on <= ds]
    files += [_arriving_pictures(day, paths) for day, paths in pictures.items() if first <= day <= ds]
    return Arriving(first, ds, _repeats_marked(files, sealed), _late(landed, pictures, sealed))


def late_files(landing: Path, sealed: Collection[SealedFile]) -> list[Path]:
    """Files that showed up in a day after it was sealed, and day folders to which pictures were added.

    Raises:
        UserError: something lies there that is neither a day folder nor a file in one.
    """
    return _late(landed_files(landing), landed_pictures(landing), sealed)


def _late(
    landed: Sequence[LandedFile], pictures: Mapping[date, Sequence[Path]], sealed: Collection[SealedFile]
) -> list[Path]:
    if not sealed:
        return []
    last = max(entry.arrived_on for entry in sealed)
    known = {(entry.arrived_on, entry.kind, entry.file) for entry in sealed}
    late = [f.path for f in landed if f.arrived_on <= last and (f.arrived_on, f.kind, f.path.name) not in known]
    # A seal counts pictures and does not name them.
    taken_in = {entry.arrived_on: entry.pictures for entry in sealed if entry.kind == PICTURES}
    return late + [
        paths[0].parent for day, paths in pictures.items() if day <= last and len(paths) > taken_in.get(day, 0)
    ]


def _first_places(files: Iterable[SealedFile]) -> dict[tuple[date, str, str], str]:
    """DAY/FILE that had the bytes first, by day, kind and name of each file that repeats one of its kind and format.

    Files without lines have no format, and none repeats another. Of items and users the newest version counts: such a
    file is a repeat only if all that came on the day before it came again with it, as it may undo what is missing.
    """
    places: dict[tuple[date, str, str], str] = {}
    first: dict[str, dict[tuple[str, str], str]] = {}  # by kind, then by format and SHA-256
    in_order = sorted((file for file in files if file.format), key=lambda file: (file.arrived_on, file.kind, file.file))
    for (day, kind), group in groupby(in_order, key=lambda file: (file.arrived_on, file.kind)):
        that_day = list(group)
        known = first.setdefault(kind, {})
        if kind in VERSIONED and not known.keys() <= {(file.format, file.sha256) for file in that_day}:
            known.clear()
        for file in that_day:
            place = known.setdefault((file.format, file.sha256), f"{day}/{file.file}")
            if place != f"{day}/{file.file}":
                places[day, kind, file.file] = place
    return places


def had_arrived(
    landing: Path, reports: Iterable[Landed], sealed: Collection[SealedFile], formats: Sequence[Format] = FORMATS
) -> list[str]:
    """A line for each file just landed whose bytes arrived before, in the lake or on a day that waits to be taken in.

    None where a file that waits cannot be read, which the ingest tells.
    """
    if not sealed:
        return []
    last = max(entry.arrived_on for entry in sealed)
    new = {(day, report.layout.format.kind, report.file) for report in reports for day in report.lines}
    try:
        landed = landed_files(landing, sorted({kind for _, kind, _ in new}))
        waiting = [file for file in landed if file.arrived_on > last]
        places = _first_places([*sealed, *(_arriving(file, formats).as_sealed() for file in waiting)])
    except UserError:
        return []
    return [
        f"{file} of {day}: had arrived as {places[day, kind, file]}; it will not be read again"
        for day, kind, file in sorted(new & places.keys())
    ]


def _repeats_marked(files: Sequence[ArrivingFile], sealed: Iterable[SealedFile]) -> list[ArrivingFile]:
    """``files`` with `same_as` set where one of their kind had the bytes before."""
    places = _first_places([*sealed, *(file.as_sealed() for file in files)])
    return [file._replace(same_as=places.get((file.arrived_on, file.kind, file.file))) for file in files]


def _arriving(file: LandedFile, formats: Sequence[Format]) -> ArrivingFile:
    stamp = stamp_of(file.path)
    origin, (sha256, spans) = read_origin(file.path, formats), hashed(file.path)
    is_changed = origin is not None and not origin.is_of(sha256)
    layout = layout_as_landed(file, formats, origin, is_changed)
    if layout and layout.format.kind != file.kind:
        raise UserError(
            f"expected {file.kind} in {file.path}, found {layout.format.kind}; move it to {layout.format.kind}/"
        )
    is_cut = origin is not None and origin.is_cut and not is_changed
    may_be_split = layout and layout.framing == LINES and not is_gzip(file.path) and not is_cut
    return ArrivingFile(
        arrived_on=file.arrived_on,
        kind=file.kind,
        path=file.path,
        file=file.path.name,
        layout=layout,
        origin=origin.name if origin and not is_changed else file.path.name,
        is_cut=is_cut,
        sha256=sha256,
        spans=spans if may_be_split else (None,),
        is_changed=is_changed,
        stamp=stamp,
    )


def _arriving_pictures(day: date, paths: Sequence[Path]) -> ArrivingFile:
    """A day's pictures as one entry: a seal for each would make table arrivals as long as a shop's catalogue."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return ArrivingFile(
        arrived_on=day,
        kind=PICTURES,
        path=paths[0].parent,
        file=PICTURES,
        layout=None,
        origin=PICTURES,
        is_cut=False,
        sha256=digest.hexdigest(),
        spans=(),
        pictures=tuple(path.name for path in paths),
    )
