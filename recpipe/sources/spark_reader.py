"""Landed files as a frame with a row for every line, accepted or rejected. Spark's own JSON reader would guess."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from recpipe.arriving import ArrivingFile
from recpipe.errors import UserError
from recpipe.intake import WRONG_UNIT
from recpipe.sources.files import records_of
from recpipe.sources.formats import Layout, parse
from recpipe.sources.lines import Line, Span, line_hash
from recpipe.sources.records import Accepted, Decode, Reject
from recpipe.sources.replay import origin_lines
from recpipe.tables import ARRIVALS, Table

BATCH_LINES = 10_000
BATCH_BYTES = 16 * 2**20
MOST_TASKS = 256
CUT_OFF = (Reject("not_json"), Reject("not_csv"), Reject("not_a_literal"), Reject("wrong_number_of_fields"))
"""Of a last line that does not end."""

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
    ("failure", "string"),  # why the file cannot be taken in, in a row that stands for no line
)
_ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_()}
_ARROW |= {"date": pa.date32(), "timestamp": pa.timestamp("us", tz="UTC"), "array<string>": pa.list_(pa.string())}


def read_landed(spark: SparkSession, files: Sequence[ArrivingFile], table: Table) -> DataFrame:
    """A row for every line of ``files`` that is not blank: `LINE_COLUMNS`, then the columns of ``table``.

    The table's columns are null in a rejected line. Files are read side by side, and so are the spans of a large one,
    each in bounded memory. A file that cannot be read to its end has a row with the `failure`; a worker that raised it
    would fill the log with the stack traces of Spark.
    """
    columns = (*LINE_COLUMNS, *((column.name, column.type) for column in table.columns if column.name != "arrived_on"))
    stretches = tuple((file, span) for file in files for span in file.spans)
    places = spark.range(0, len(stretches), 1, max(1, min(len(stretches), MOST_TASKS)))
    return places.mapInArrow(_reader(stretches, columns), ", ".join(f"{name} {type_}" for name, type_ in columns))


def _reader(
    stretches: tuple[tuple[ArrivingFile, Span | None], ...], columns: tuple[tuple[str, str], ...]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(places: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([(name, _ARROW[type_]) for name, type_ in columns])
        for batch in places:
            for place in batch.column(0).to_pylist():
                yield from _in_batches(_rows_or_failure(*stretches[place], len(columns) - len(LINE_COLUMNS)), schema)

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


def _rows_or_failure(file: ArrivingFile, span: Span | None, width: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    try:
        yield from _rows(file, span, width)
    except UserError as error:
        place = (file.arrived_on, file.kind, file.file, None, file.origin, None, None, None, None)
        yield 0, (*place, str(error), *itertools.repeat(None, width))


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
    for line in records_of(file.path, file.layout, span):
        outcome = _outcome(line, file.layout, decode, file.arrived_on)
        origin_line = next(numbers, None) if numbers else line.number
        if origin_line is None:
            raise _misfit(file)
        place = (file.arrived_on, file.kind, file.file, line.number, file.origin, origin_line)
        if isinstance(outcome, Accepted):
            yield len(line.content), (*place, None, None, outcome.notes, None, *outcome.record)
        else:
            why = (outcome.reason, line_hash(line), [WRONG_UNIT] if outcome.wrong_unit else None, None)
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
    return UserError(f"expected a line number in the companion of {file.path} for each of its lines, found others")


def files_frame(spark: SparkSession, files: Sequence[ArrivingFile]) -> DataFrame:
    """The files as rows, with the columns of table arrivals that are not counts."""
    names = ("arrived_on", "kind", "file", "format", "origin", "sha256", "same_as")
    rows = [tuple(getattr(file, name) for name in names) for file in files]
    columns = ", ".join(f"{name} {ARRIVALS.column(name).type}" for name in names)
    return spark.createDataFrame(rows, columns)
