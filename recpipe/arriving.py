"""Which files of which days a run of ingest takes in. Plain values, no Spark."""

import fcntl
import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from recpipe import delta
from recpipe.errors import UserError
from recpipe.landing import LandedFile, dialect_of, landed_files
from recpipe.sources.amazon import FORMATS
from recpipe.sources.replay import read_origin
from recpipe.tables import ARRIVALS


class ArrivingFile(NamedTuple):
    arrived_on: date
    kind: str
    path: Path
    file: str  # its name in the day folder
    format: str  # empty for a file without lines
    origin: str  # the dump it was cut out of, else as file
    is_cut: bool
    sha256: str


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


def sealed_files(lake: Path) -> set[SealedFile]:
    """What the lake has taken in; a sealed day without files has one entry with an empty name."""
    with delta.connect(lake, [ARRIVALS]) as connection:
        return {SealedFile(*row) for row in connection.sql("select arrived_on, kind, file from arrivals").fetchall()}


@contextmanager
def ingest_lock(lake: Path) -> Iterator[None]:
    """Two runs would take in the same days, so the second waits and then finds them sealed."""
    path = lake / ".locks" / "ingest_reviews.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def arriving_files(landing: Path, sealed: Collection[SealedFile], ds: date) -> Arriving:
    """The days up to ``ds`` that are not sealed, from the first arrival on, with their files.

    Raises:
        UserError: nothing ever arrived, or not up to ``ds``; a file is unreadable or of another kind than its folder.
    """
    landed = landed_files(landing)
    if not landed and not sealed:
        raise UserError(
            f"expected files in {landing}, found none; run `recpipe land FILES --format {FORMATS[-1]} --arrived-on DAY`"
        )
    days = {entry.arrived_on for entry in sealed} or {file.arrived_on for file in landed}
    if ds < min(days):
        raise UserError(f"expected a day from {min(days)} on, the first arrival, found {ds}; name a later day")
    first = max(days) + timedelta(days=1) if sealed else min(days)
    files = [_arriving(file) for file in landed if first <= file.arrived_on <= ds]
    late = [
        file.path
        for file in landed
        if file.arrived_on < first and SealedFile(file.arrived_on, file.kind, file.path.name) not in sealed
    ]
    return Arriving(first, ds, files, late)


def _arriving(file: LandedFile) -> ArrivingFile:
    origin = read_origin(file.path)
    dialect = origin.dialect if origin else dialect_of(file.path)
    if dialect and dialect.kind != file.kind:
        raise UserError(f"expected {file.kind} in {file.path}, found {dialect.kind}; move it to {dialect.kind}/")
    with file.path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return ArrivingFile(
        arrived_on=file.arrived_on,
        kind=file.kind,
        path=file.path,
        file=file.path.name,
        format=dialect.format if dialect else "",
        origin=origin.name if origin else file.path.name,
        is_cut=origin is not None,
        sha256=sha256,
    )
