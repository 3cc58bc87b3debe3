"""Landed files as a frame with a row for every line, accepted or rejected. Spark's own JSON reader would guess."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from recpipe.arriving import ArrivingFile
from recpipe.errors import UserError
from recpipe.intake import WRONG_UNIT
from recpipe.sources.files import records_of, stamp_of
from recpipe.sources.formats import Layout, parse
from recpipe.sources.lines import Line, Span, line_hash
from recpipe.sources.pictures import Limits, Picture, examine
from recpipe.sources.records import Accepted, Decode, Reject
from recpipe.sources.replay import cut_records, origin_lines
from recpipe.tables import ARRIVALS, Table

BATCH_LINES = 10_000
BATCH_BYTES = 16 * 2**20
MOST_TASKS = 256
PICTURES_A_TASK = 50  # until there are MOST_TASKS; some milliseconds each, a second for the largest
CUT_OFF = (Reject("not_json"), Reject("not_csv"), Reject("not_a_literal"), Reject("wrong_number_of_fields"))
"""Of a last line that does not end."""

Stretch = Span | None | Sequence[str]  # of a file of lines (None: all of it), or of a day's pictures

LINE_COLUMNS = (
    ("arrived_on", "date"),
    ("kind", "string"),
    ("file", "string"),
    ("line_number", "bigint"),
    ("origin", "string"),
    ("origin_line", "bigint"),
    ("reason", "string"),  # null: accepted
    ("line_hash", "string"),  # of a rejected line
    ("notes", "array<string>"),  # values that were there and could not be read; WRONG_UNIT beside a reason
)
_ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
_ARROW |= {"date": pa.date32(), "timestamp": pa.timestamp("us", tz="UTC"), "array<string>": pa.list_(pa.string())}


def read_landed(
    spark: SparkSession, files: Sequence[ArrivingFile], table: Table, staging: Path, limits: Limits
) -> DataFrame:
    """A row for every line of ``files`` that is not blank, or picture: `LINE_COLUMNS`, then the columns of ``table``.

    The table's columns are null in a rejected line. Files are read side by side, and so are the spans of a large one,
    each in bounded memory, into Parquet files under ``staging``, which the frame reads: neither a worker nor the
    driver ever holds a file's rows, and what looks at few columns leaves the texts where they are.

    Raises:
        UserError: a file cannot be read to its end, or its companion does not fit; names it.
    """
    known = {name for name, _ in LINE_COLUMNS}
    columns = (*LINE_COLUMNS, *((column.name, column.type) for column in table.columns if column.name not in known))
    stretches = tuple((file, stretch) for file in files for stretch in (*file.spans, *_some(file.pictures)))
    places = spark.range(0, len(stretches), 1, max(1, min(len(stretches), MOST_TASKS)))
    stager = _stager(stretches, columns, staging, limits)
    staged = places.mapInArrow(stager, "path string, failure string").collect() if stretches else []
    if failures := sorted(row.failure for row in staged if row.failure):
        # Not raised by the worker, whose log would be filled with the stack traces of Spark.
        raise UserError(failures[0] + (f"; and {len(failures) - 1} more files like it" if len(failures) > 1 else ""))
    schema, paths = ", ".join(f"{name} {type_}" for name, type_ in columns), [row.path for row in staged if row.path]
    return spark.read.schema(schema).parquet(*paths) if paths else spark.createDataFrame([], schema)


def _some(pictures: Sequence[str]) -> list[Sequence[str]]:
    """As many names of pictures as a task examines."""
    return [pictures[place : place + PICTURES_A_TASK] for place in range(0, len(pictures), PICTURES_A_TASK)]


def _stager(
    stretches: tuple[tuple[ArrivingFile, Stretch], ...],
    columns: tuple[tuple[str, str], ...],
    staging: Path,
    limits: Limits,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def stage(places: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([(name, _ARROW[type_]) for name, type_ in columns])
        for place in (place for batch in places for place in batch.column(0).to_pylist()):
            file, stretch = stretches[place]
            if file.pictures:
                rows = _picture_rows(file, stretch, limits)
            else:
                rows = _rows(file, stretch, len(columns) - len(LINE_COLUMNS))
            path, failure = None, None
            try:
                path = _written(_in_batches(rows, schema), schema, staging)
                _require_unchanged(file)
            except UserError as error:
                failure = str(error)
            yield pa.RecordBatch.from_pydict({"path": pa.array([path], pa.string()), "failure": [failure]}, _STAGED)

    return stage


_STAGED = pa.schema({"path": pa.string(), "failure": pa.string()})


def _written(batches: Iterator[pa.RecordBatch], schema: pa.Schema, staging: Path) -> str | None:
    """The Parquet file of the batches, under a name of its own, since Spark may run a task twice; None without rows."""
    first = next(batches, None)
    if first is None:
        return None
    path = staging / f"{uuid4().hex}.parquet"
    repetitive = [name for name, _ in LINE_COLUMNS if name not in ("line_number", "origin_line", "line_hash", "notes")]
    with pq.ParquetWriter(path, schema, use_dictionary=repetitive, write_statistics=False) as file:
        for batch in itertools.chain([first], batches):
            file.write_batch(batch)
    return str(path)


def _in_batches(rows: Iterator[tuple[int, tuple[Any, ...]]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    held: list[tuple[Any, ...]] = []
    size = 0
    for length, row in rows:
        held.append(row)
        size += length
        if len(held) >= BATCH_LINES or size >= BATCH_BYTES:
            yield _batch(held, schema)
            held, size = [], 0
    if held:
        yield _batch(held, schema)


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _rows(file: ArrivingFile, span: Span | None, width: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Each line's length and row.

    Raises:
        UserError: the file cannot be read to its end, or its companion does not fit.
    """
    if file.layout is None:
        return
    numbers = origin_lines(file.path) if file.is_cut else None
    nothing = tuple(itertools.repeat(None, width))
    decode = file.layout.decoder()
    for line in cut_records(file.path, file.layout) if file.is_cut else records_of(file.path, file.layout, span):
        outcome = _outcome(line, file.layout, decode, file.arrived_on)
        origin_line = next(numbers, None) if numbers else line.number
        if origin_line is None:
            raise _misfit(file)
        place = (file.arrived_on, file.kind, file.file, line.number, file.origin, origin_line)
        if isinstance(outcome, Accepted):
            yield len(line.content), (*place, None, None, outcome.notes, *outcome.record)
        else:
            why = (outcome.reason, line_hash(line), [WRONG_UNIT] if outcome.wrong_unit else None)
            yield len(line.content), (*place, *why, *nothing)
    if numbers and next(numbers, None) is not None:
        raise _misfit(file)


def _outcome(line: Line, layout: Layout, decode: Decode, arrived_on: date) -> Accepted | Reject:
    if line.too_long:
        return Reject("line_too_long")
    outcome = parse(line.content, layout.format, decode, arrived_on)
    if not line.ended and outcome in CUT_OFF:
        return Reject("cut_off")  # the last line of a file that may be cut
    return outcome


def _misfit(file: ArrivingFile) -> UserError:
    return UserError(
        f"expected a line number in the companion of {file.path} for each of its lines, found others; "
        "remove the file and its companion, and land the dump again"
    )


def _require_unchanged(file: ArrivingFile) -> None:
    """Raises:
    UserError: the file is not the one whose hash and spans are known.
    """
    if file.stamp and file.stamp != stamp_of(file.path):
        raise UserError(f"expected {file.path} as it was when it was hashed, found it changed; run again")


def _picture_rows(file: ArrivingFile, pictures: Sequence[str], limits: Limits) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """A row for every picture, as if it were a file of one line.

    Raises:
        UserError: a picture may not be read.
    """
    nothing = tuple(itertools.repeat(None, len(Picture._fields)))
    for name in pictures:
        place = (file.arrived_on, file.kind, name, 1, name, 1)
        try:
            found = examine(file.path / name, limits)
        except OSError as error:
            raise UserError(f"expected a readable picture, found: {error}; mend it or take it away") from None
        if isinstance(found, Picture):
            yield 0, (*place, None, None, None, *found)
        else:
            yield 0, (*place, found.reason, found.sha256, None, *nothing)


def files_frame(spark: SparkSession, files: Sequence[ArrivingFile]) -> DataFrame:
    """The files as rows, with the columns of table arrivals that are not counts."""
    names = ("arrived_on", "kind", "file", "format", "origin", "sha256", "same_as")
    rows = [tuple(getattr(file, name) for name in names) for file in files]
    columns = ", ".join(f"{name} {ARRIVALS.column(name).type}" for name in names)
    return spark.createDataFrame(rows, columns)
