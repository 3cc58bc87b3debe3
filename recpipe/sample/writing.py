"""The sample's files in the landing folder."""

import gzip
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.landing import land
from recpipe.sample import events
from recpipe.sample.arriving import lines_of
from recpipe.sample.formats import writers_of
from recpipe.sample.mix import mix_of
from recpipe.sample.planted import Planted, PlantedFile
from recpipe.sample.shop import Sample
from recpipe.sample.writers import PARQUET, Writer
from recpipe.sources.known import FORMATS

BROKEN = {
    "truncated_gzip": "truncated.json.gz",  # the first half of a good file
    "html_page": "page.json",  # what a server says instead of the file
    "not_gzip": "rubbish.json.gz",  # neither gzip nor text
}
"""Whole files that stop a run, by kind; each with its name in the folder of the last day."""

_PARQUET_COLUMNS = {"event_time": "BIGINT", **dict.fromkeys(("kind", "product", "buyer", "channel"), "VARCHAR")}


@dataclass(frozen=True)
class Wanted:
    """What is to be in the files."""

    format: str = "amazon-2023"
    events: str | None = None  # also behaviour events, as one of events.WRITERS
    faults: Mapping[str, float] | None = None  # shares of an arrival's lines by kind; None: mix.USUAL
    all_faults: bool = False  # every kind that fits, rarely where ``faults`` do not say how often
    broken: Sequence[str] = ()  # kinds of BROKEN


def write_sample(landing: Path, sample: Sample, wanted: Wanted = Wanted()) -> Planted:
    """Land a file of each kind of record for each day of arrival; the first day holds two years of history.

    Raises:
        UserError: too few users, items or days, an unknown name, a fault that does not fit, or other files landed
            there before.
    """
    sample.require_size()
    writers = writers_of(wanted.format, wanted.events)
    mix = mix_of(wanted.faults, writers, sample, wanted.all_faults)
    if unknown := set(wanted.broken) - BROKEN.keys():
        raise UserError(f"expected broken files out of {', '.join(BROKEN)}, found {', '.join(sorted(unknown))}")
    planted = Planted(wanted.format, mapping=events.mapping(wanted.events) if wanted.events else "")
    lines = lines_of(sample, writers, mix, planted)
    with tempfile.TemporaryDirectory() as folder:
        for day, writer in ((day, writer) for day in sample.arrivals for writer in writers if lines[writer.kind][day]):
            _put_up(_written(Path(folder) / writer.file, writer, lines[writer.kind][day]), writer, landing, day)
    if "repeated_file" in mix.shares:
        _repeat(landing, writers[0], sample.arrivals[-2:], planted)
    for kind in wanted.broken:
        planted.broken.append(_break(landing, kind, writers[0], lines["reviews"][sample.last_day], sample.last_day))
    return planted


def _written(path: Path, writer: Writer, lines: Sequence[bytes]) -> Path:
    content = [writer.header, *lines] if writer.header else lines
    if writer.shape == PARQUET:
        _write_parquet(path, content)
    elif path.suffix == ".gz":
        with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
            stream.writelines(content)
    else:
        path.write_bytes(b"".join(content))
    return path


def _write_parquet(path: Path, lines: Sequence[bytes]) -> None:
    rows = path.with_suffix(".jsonl")
    rows.write_bytes(b"".join(lines))
    with duckdb.connect() as connection:
        read = connection.read_json(str(rows), format="newline_delimited", columns=_PARQUET_COLUMNS)
        read.write_parquet(str(path))


def _put_up(path: Path, writer: Writer, landing: Path, day: date) -> None:
    """As the user would: by `recpipe land` where that knows the format, else into the folder of the day."""
    if any((known.name, known.kind) == (writer.format, writer.kind) for known in FORMATS):
        land([path], Choice(writer.format), landing, day)
        return
    target = landing / writer.kind / f"arrived_on={day}" / path.name
    if target.exists() and target.read_bytes() != path.read_bytes():
        raise UserError(f"expected no other file at {target}, found one; choose another RECPIPE_HOME")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _repeat(landing: Path, writer: Writer, days: Sequence[date], planted: Planted) -> None:
    """The reviews of one day once more on the next one, under another name."""
    before, day = days
    if not (original := landing / writer.kind / f"arrived_on={before}" / writer.file).exists():
        return
    again = landing / writer.kind / f"arrived_on={day}" / f"again_{writer.file}"
    again.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(original, again)
    lines = sum(file.lines for file in planted.files if (file.kind, file.arrived_on) == (writer.kind, before))
    planted.files.append(PlantedFile(writer.kind, writer.format, day, again.name, lines, repeats=before))


def _break(landing: Path, kind: str, writer: Writer, lines: Sequence[bytes], day: date) -> Path:
    path = landing / "reviews" / f"arrived_on={day}" / BROKEN[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "truncated_gzip":
        whole = gzip.compress(writer.header + b"".join(lines), mtime=0)
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "html_page":
        path.write_bytes(b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n")
    else:
        path.write_bytes(bytes(range(128, 256)) * 8)
    return path
