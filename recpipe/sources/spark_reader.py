"""Landed files as a frame with a row for every line, accepted or rejected. Spark's own JSON reader would guess."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from recpipe.arriving import ArrivingFile
from recpipe.errors import UserError
from recpipe.sources.amazon import Dialect, parse
from recpipe.sources.lines import Line, line_hash, read_lines
from recpipe.sources.records import Accepted, Reject
from recpipe.sources.replay import origin_lines
from recpipe.tables import Table

BATCH_LINES = 10_000
BATCH_BYTES = 16 * 2**20
MOST_TASKS = 256

LINE_COLUMNS = (
    ("arrived_on", "date"),
    ("kind", "string"),
    ("file", "string"),
    ("line_number", "bigint"),
    ("origin", "string"),
    ("origin_line", "bigint"),
    ("reason", "string"),  # null: accepted
    ("line_hash", "string"),  # of a rejected line
    ("notes", "array<string>"),  # values that were there and could not be read
    ("failure", "string"),  # why the file cannot be taken in, in a row that stands for no line
)
_ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
_ARROW |= {"date": pa.date32(), "timestamp": pa.timestamp("us", tz="UTC"), "array<string>": pa.list_(pa.string())}


def read_landed(spark: SparkSession, files: Sequence[ArrivingFile], table: Table) -> DataFrame:
    """A row for every line of ``files`` that is not blank: `LINE_COLUMNS`, then the columns of ``table``.

    The table's columns are null in a rejected line. Files are read side by side, each in bounded memory. A file that
    cannot be taken in, since it is not whole or most of its dates are in the wrong unit, has a row with the `failure`;
    a worker that raised it would fill the log with the stack traces of Spark.
    """
    columns = (*LINE_COLUMNS, *((column.name, column.type) for column in table.columns if column.name != "arrived_on"))
    tasks = max(1, min(len(files), MOST_TASKS))
    places = spark.range(0, len(files), 1, tasks)
    return places.mapInArrow(_reader(tuple(files), columns), ", ".join(f"{name} {type_}" for name, type_ in columns))


def _reader(
    files: tuple[ArrivingFile, ...], columns: tuple[tuple[str, str], ...]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(places: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([(name, _ARROW[type_]) for name, type_ in columns])
        for batch in places:
            for place in batch.column(0).to_pylist():
                yield from _in_batches(_rows_or_failure(files[place], len(columns) - len(LINE_COLUMNS)), schema)

    return read


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


def _rows_or_failure(file: ArrivingFile, width: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    try:
        yield from _rows(file, width)
    except UserError as error:
        place = (file.arrived_on, file.kind, file.file, None, file.origin, None, None, None, None)
        yield 0, (*place, str(error), *itertools.repeat(None, width))


def _rows(file: ArrivingFile, width: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Each line's length and row.

    Raises:
        UserError: most of the file's dates are in the wrong unit, or its companion does not fit.
    """
    dialect = Dialect(file.format, file.kind)
    numbers = origin_lines(file.path) if file.is_cut else None
    lines = wrong_units = 0
    for line in read_lines(file.path):
        outcome = _outcome(line, dialect, file)
        origin_line = next(numbers, None) if numbers else line.number
        if origin_line is None:
            raise _misfit(file)
        place = (file.arrived_on, file.kind, file.file, line.number, file.origin, origin_line)
        if isinstance(outcome, Accepted):
            yield len(line.content), (*place, None, None, outcome.notes, None, *outcome.record)
        else:
            why = (outcome.reason, line_hash(line), None, None)
            yield len(line.content), (*place, *why, *itertools.repeat(None, width))
            wrong_units += outcome.wrong_unit
        lines += 1
    if numbers and next(numbers, None) is not None:
        raise _misfit(file)
    if 2 * wrong_units > lines:
        raise UserError(
            f"{file.path}: expected dates in the unit of {file.format}, found another one in {wrong_units} of {lines} "
            "lines (seconds for milliseconds, or the other way round); convert them and land the file again"
        )


def _outcome(line: Line, dialect: Dialect, file: ArrivingFile) -> Accepted | Reject:
    if line.too_long:
        return Reject("line_too_long")
    outcome = parse(line.content, dialect, file.arrived_on)
    if not line.ended and outcome == Reject("not_json"):
        return Reject("cut_off")  # the last line of a file that may be cut
    return outcome


def _misfit(file: ArrivingFile) -> UserError:
    return UserError(f"expected a line number in the companion of {file.path} for each of its lines, found others")


def files_frame(spark: SparkSession, files: Sequence[ArrivingFile]) -> DataFrame:
    """The files as rows, with the columns of table arrivals that are not counts."""
    rows = [(file.arrived_on, file.kind, file.file, file.format, file.origin, file.sha256) for file in files]
    columns = "arrived_on date, kind string, file string, format string, origin string, sha256 string"
    return spark.createDataFrame(rows, columns)
