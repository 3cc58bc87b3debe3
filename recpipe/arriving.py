"""Which files of which days a run of ingest takes in. Plain values, no Spark."""

import fcntl
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.images import landed_pictures
from recpipe.landing import LandedFile, landed_files
from recpipe.sources.files import hashed, layout_of
from recpipe.sources.formats import LINES, Format, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import Span, is_gzip
from recpipe.sources.replay import read_origin
from recpipe.tables import ARRIVALS, PICTURES


class ArrivingFile(NamedTuple):
    arrived_on: date
    kind: str
    path: Path
    file: str  # its name in the day folder; `images` for all the pictures of a day
    layout: Layout | None  # None for a file without lines, and for pictures
    origin: str  # the dump it was cut out of, else as file
    is_cut: bool
    sha256: str
    spans: tuple[Span | None, ...]  # stretches that tasks read side by side; None: the whole file
    pictures: tuple[str, ...] = ()  # names of the day's pictures, which lie in the folder ``path``

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
        return [file for file in self.files if file.kind == kind]

    def days_without_files(self) -> list[date]:
        with_files = {file.arrived_on for file in self.files}
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return [day for day in days if day not in with_files]


class SealedFile(NamedTuple):
    arrived_on: date
    kind: str
    file: str
    pictures: int = 0  # files for which the entry stands, where it does not name them


def sealed_files(lake: Path) -> set[SealedFile]:
    """What the lake has taken in; a sealed day without files has one entry with an empty name."""
    entries = "select arrived_on, kind, file, if(kind = $pictures, lines_read, 0) from arrivals"
    with delta.connect(lake, [ARRIVALS]) as connection:
        return {SealedFile(*row) for row in connection.sql(entries, params={"pictures": PICTURES}).fetchall()}


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
    late = [
        file.path
        for file in landed
        if file.arrived_on < first and SealedFile(file.arrived_on, file.kind, file.path.name) not in sealed
    ]
    return Arriving(first, ds, files, late + _late_pictures(pictures, sealed, first))


def _late_pictures(pictures: Mapping[date, Sequence[Path]], sealed: Collection[SealedFile], first: date) -> list[Path]:
    """Day folders that hold more pictures than were taken in: a seal counts them and does not name them."""
    taken_in = {entry.arrived_on: entry.pictures for entry in sealed if entry.kind == PICTURES}
    return [paths[0].parent for day, paths in pictures.items() if day < first and len(paths) > taken_in.get(day, 0)]


def _told(file: LandedFile, formats: Sequence[Format]) -> Layout | None:
    """The layout of a file that was put there by hand, preferably of its folder's kind.

    Raises:
        UserError: two mappings fit it, which would say different things of it.
    """
    layout = layout_of(file.path, sorted(formats, key=lambda format_: format_.kind != file.kind))
    if layout is None or not layout.format.needs:
        return layout
    told, needs, rival = layout.format, set(layout.format.needs), None
    rivals = [f for f in formats if f.kind == told.kind and f.name != told.name and f.needs and not {*f.needs} < needs]
    with suppress(UserError):
        rival = layout_of(file.path, rivals) if rivals else None
    if rival:
        raise UserError(
            f"expected a file that one mapping fits, found {file.path}, which {told.name} and {rival.format.name} fit; "
            "move it away and land it by `recpipe land --format`"
        )
    return layout


def _arriving(file: LandedFile, formats: Sequence[Format]) -> ArrivingFile:
    origin = read_origin(file.path, formats)
    layout = origin.layout if origin else _told(file, formats)
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


def _arriving_pictures(day: date, paths: Sequence[Path]) -> ArrivingFile:
    """A day's pictures as one entry: a seal for each would make table arrivals as long as a shop's catalogue."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
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
