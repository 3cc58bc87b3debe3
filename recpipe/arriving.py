"""Which files of which days a run of ingest takes in. Plain values, no Spark."""

import fcntl
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.landing import Landed, LandedFile, landed_files
from recpipe.sources.files import hashed, layout_of
from recpipe.sources.formats import LINES, Format, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import Span, is_gzip
from recpipe.sources.replay import read_origin
from recpipe.tables import ARRIVALS


class ArrivingFile(NamedTuple):
    arrived_on: date
    kind: str
    path: Path
    file: str  # its name in the day folder
    layout: Layout | None  # None for a file without lines
    origin: str  # the dump it was cut out of, else as file
    is_cut: bool
    sha256: str
    spans: tuple[Span | None, ...]  # stretches that tasks read side by side; None: the whole file
    same_as: str | None = None  # DAY/FILE that had these bytes first; set: this one is not read again

    @property
    def format(self) -> str:
        return self.layout.format.name if self.layout else ""


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

    def days_without_files(self) -> list[date]:
        with_files = {file.arrived_on for file in self.files}
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return [day for day in days if day not in with_files]


class SealedFile(NamedTuple):
    arrived_on: date
    kind: str
    file: str
    sha256: str = ""  # empty for a file without lines, and for a day without files


def sealed_files(lake: Path) -> set[SealedFile]:
    """What the lake has taken in; a sealed day without files has one entry with an empty name."""
    # A file without lines has no format. All such files may have equal bytes, and none repeats another.
    query = "select arrived_on, kind, file, case when format = '' then '' else sha256 end from arrivals"
    with delta.connect(lake, [ARRIVALS]) as connection:
        return {SealedFile(*row) for row in connection.sql(query).fetchall()}


@contextmanager
def ingest_lock(lake: Path) -> Iterator[None]:
    """Two runs would take in the same days, so the second waits and then finds them sealed."""
    path = lake / ".locks" / "ingest_reviews.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def arriving_files(
    landing: Path, sealed: Collection[SealedFile], ds: date, formats: Sequence[Format] = FORMATS
) -> Arriving:
    """The days up to ``ds`` that are not sealed, from the first arrival on, with their files.

    Raises:
        UserError: nothing ever arrived, or not up to ``ds``; a file is unreadable or of another kind than its folder.
    """
    landed = landed_files(landing)
    if not landed and not sealed:
        raise UserError(
            f"expected files in {landing}, found none; run `recpipe land FILES --format FORMAT --arrived-on DAY`"
        )
    days = {entry.arrived_on for entry in sealed} or {file.arrived_on for file in landed}
    if ds < min(days):
        raise UserError(f"expected a day from {min(days)} on, the first arrival, found {ds}; name a later day")
    first = max(days) + timedelta(days=1) if sealed else min(days)
    files = [_arriving(file, formats) for file in landed if first <= file.arrived_on <= ds]
    known = {(entry.arrived_on, entry.kind, entry.file) for entry in sealed}
    late = [
        file.path
        for file in landed
        if file.arrived_on < first and (file.arrived_on, file.kind, file.path.name) not in known
    ]
    return Arriving(first, ds, _repeats_marked(files, sealed), late)


def had_arrived(landing: Path, reports: Iterable[Landed], sealed: Collection[SealedFile]) -> list[str]:
    """A line for each file just landed whose bytes the lake has taken in before."""
    first = _first_places(sealed)
    said = []
    for report in reports if first else ():
        for day in sorted(report.lines):
            kind = report.layout.format.kind
            sha256 = hashed(landing / kind / f"arrived_on={day}" / report.file).sha256
            if place := first.get((kind, sha256)):
                before, file = place
                said.append(f"{report.file} of {day}: had arrived on {before} as {file}; it will not be read again")
    return said


def _first_places(sealed: Iterable[SealedFile]) -> dict[tuple[str, str], tuple[date, str]]:
    """By kind and SHA-256 the day and name of the file that had the bytes first."""
    first: dict[tuple[str, str], tuple[date, str]] = {}
    for entry in sorted(sealed):
        if entry.sha256:
            first.setdefault((entry.kind, entry.sha256), (entry.arrived_on, entry.file))
    return first


def _repeats_marked(files: Iterable[ArrivingFile], sealed: Iterable[SealedFile]) -> list[ArrivingFile]:
    """``files``, which come as they arrived, with `same_as` set where one of their kind had the bytes before."""
    first = _first_places(sealed)
    marked = []
    for file in files:
        before = None
        if file.layout:
            here = file.arrived_on, file.file
            before = first.setdefault((file.kind, file.sha256), here)
            before = None if before == here else f"{before[0]}/{before[1]}"
        marked.append(file._replace(same_as=before))
    return marked


def _arriving(file: LandedFile, formats: Sequence[Format]) -> ArrivingFile:
    origin = read_origin(file.path, formats)
    layout = origin.layout if origin else layout_of(file.path, formats)
    if layout and layout.format.kind != file.kind:
        raise UserError(
            f"expected {file.kind} in {file.path}, found {layout.format.kind}; move it to {layout.format.kind}/"
        )
    sha256, spans = hashed(file.path)
    may_be_split = layout and layout.framing == LINES and not is_gzip(file.path) and not (origin and origin.is_cut)
    return ArrivingFile(
        arrived_on=file.arrived_on,
        kind=file.kind,
        path=file.path,
        file=file.path.name,
        layout=layout,
        origin=origin.name if origin else file.path.name,
        is_cut=origin is not None and origin.is_cut,
        sha256=sha256,
        spans=spans if may_be_split else (None,),
    )
