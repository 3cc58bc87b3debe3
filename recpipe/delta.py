"""Reading and writing the lake without a JVM: delta-rs commits, DuckDB reads. The Spark side is `lake.py`."""

import errno
import fcntl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.schema import ArrayType, Field, PrimitiveType, Schema

from recpipe.errors import UserError
from recpipe.tables import TABLES, Table

_DELTA_TYPES = {"string": "string", "int": "integer", "bigint": "long", "double": "double", "float": "float"}
_DELTA_TYPES |= {"boolean": "boolean", "date": "date", "timestamp": "timestamp"}
_DUCKDB_TYPES = {"string": "varchar", "int": "integer", "bigint": "bigint", "double": "double", "float": "float"}
_DUCKDB_TYPES |= {"boolean": "boolean", "date": "date", "timestamp": "timestamptz"}

STAGING = ".staging"
"""Folder of the lake for files that a job writes for itself and reads again."""


def _element(type_: str) -> str | None:
    return type_[len("array<") : -1] if type_.startswith("array<") else None


def _delta_type(type_: str) -> PrimitiveType | ArrayType:
    element = _element(type_)
    if element:
        return ArrayType(_DELTA_TYPES[element], contains_null=False)
    return PrimitiveType(_DELTA_TYPES[type_])


def _duckdb_type(type_: str) -> str:
    element = _element(type_)
    return f"{_DUCKDB_TYPES[element]}[]" if element else _DUCKDB_TYPES[type_]


def delta_schema(table: Table) -> Schema:
    return Schema(
        [
            Field(column.name, _delta_type(column.type), nullable=column.nullable, metadata={"comment": column.comment})
            for column in table.columns
        ]
    )


def constraints(table: Table) -> dict[str, str]:
    """CHECK constraints by name.

    NaN is greater than every number in Delta's order, so an upper bound refuses it. A check that gives null fails, so a
    nullable column says that null is well.
    """
    checks = {}
    for column in table.columns:
        may_be_null = f"{column.name} IS NULL OR " if column.nullable else ""
        if column.name in table.ranges and not _element(column.type):
            low, high = table.ranges[column.name]
            in_range = f"({column.name} >= {low!r} AND {column.name} <= {high!r})"
            checks[f"{column.name}_in_range"] = f"{may_be_null}{in_range}"
        if column.name in table.values:
            allowed = " OR ".join(f"{column.name} = '{value}'" for value in table.values[column.name])
            checks[f"{column.name}_allowed"] = f"{may_be_null}{allowed}"
    return checks


def create_tables(root: Path) -> list[str]:
    """Create the tables that do not exist yet, and give their names.

    Without reader features, so that every Delta reader and plain Parquet readers of its file list see the same rows.
    """
    created = []
    for table in TABLES:
        uri = table_uri(root, table)
        if DeltaTable.is_deltatable(uri):
            continue
        made = DeltaTable.create(
            uri,
            delta_schema(table),
            mode="error",
            partition_by=list(table.partition) or None,
            name=table.name,
            description=table.comment,
        )
        if checks := constraints(table):
            made.alter.add_constraint(checks)
        created.append(table.name)
    return created


def require_lake(root: Path) -> None:
    """Raises:
    UserError: a table is missing.
    """
    missing = [table.name for table in TABLES if not DeltaTable.is_deltatable(table_uri(root, table))]
    if missing:
        raise UserError(f"expected the tables of the lake at {root}, found no {', '.join(missing)}; run `recpipe init`")


def table_uri(root: Path, table: Table) -> str:
    return str(root / table.name)


def open_table(root: Path, table: Table) -> DeltaTable:
    try:
        return DeltaTable(table_uri(root, table))
    except TableNotFoundError:
        raise UserError(f"expected table {table.name} at {root}, found none; run `recpipe init`") from None


def snapshot_files(root: Path, table: Table, partition: Mapping[str, date] | None = None) -> list[str]:
    """The data files of the newest version, sorted; with ``partition``, of those days alone.

    Never list the folder instead: it also holds files of older versions.
    """
    days = [(name, "=", day.isoformat()) for name, day in (partition or {}).items()]
    files = open_table(root, table).file_uris(file_pruning_predicate=days or None)
    # delta-rs quotes a local path as in a URL; neither DuckDB nor pyarrow takes that back.
    return sorted(unquote(file) for file in files)


def days(root: Path, table: Table) -> set[date]:
    """The days that have rows, from the table's metadata alone."""
    return {date.fromisoformat(part[table.day_column]) for part in open_table(root, table).partitions()}


def count_rows(root: Path, table: Table, day: date) -> int:
    with connect(root, [table]) as lake:
        counted = f"select count(*) from {table.name} where {table.day_column} = $day"
        return lake.sql(counted, params={"day": day}).fetchall()[0][0]


@contextmanager
def table_lock(root: Path, table: Table) -> Iterator[None]:
    """Hold the table's file lock, which both engines take around a commit on a local path (`Lake` through the JVM)."""
    path = lock_file(root, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def lock_file(root: Path, table: Table) -> Path:
    return root / ".locks" / f"{table.name}.lock"


Rows = Sequence[Mapping[str, Any]] | Any  # dicts, or anything that exports an Arrow stream


def overwrite_partition(root: Path, table: Table, rows: Rows, day: date) -> int:
    """Replace the rows of ``day`` by ``rows`` in one commit; no rows clear the day. Gives the new version.

    Raises:
        UserError: a row breaks a constraint of the table, or lies on another day.
    """
    return _write(root, table, rows, predicate=f"{table.day_column} = '{day.isoformat()}'")


def replace(root: Path, table: Table, rows: Rows) -> int:
    """Replace every row of the table in one commit. Gives the new version."""
    return _write(root, table, rows, predicate=None)


def append(root: Path, table: Table, rows: Rows) -> int:
    """Add ``rows`` in one commit. Gives the new version."""
    return _write(root, table, rows, predicate=None, mode="append")


def _write(root: Path, table: Table, rows: Rows, predicate: str | None, mode: str = "overwrite") -> int:
    with table_lock(root, table):
        target = open_table(root, table)
        try:
            write_deltalake(
                target,
                _arrow(table, rows),
                mode=mode,
                predicate=predicate,
                commit_properties=CommitProperties(custom_metadata={"recpipe": table.name}),
            )
        except DeltaError as error:
            if "No space left on device" not in str(error):
                raise
            raise OSError(errno.ENOSPC, f"expected room to write table {table.name}, found none; free some") from None
        return target.version()


def _arrow(table: Table, rows: Rows) -> Any:
    if hasattr(rows, "__arrow_c_stream__"):
        return rows
    connection = duckdb.connect()
    ddl = ", ".join(f"{column.name} {_duckdb_type(column.type)}" for column in table.columns)
    connection.execute(f"create table staged ({ddl})")
    if rows:
        marks = ", ".join("?" for _ in table.columns)
        connection.executemany(
            f"insert into staged values ({marks})", [[row[name] for name in table.column_names] for row in rows]
        )
    return connection.table("staged")


def connect(root: Path, tables: Iterable[Table] = TABLES) -> duckdb.DuckDBPyConnection:
    """A DuckDB session with a view for every table over its current files; it can read nothing else.

    Days that a query names prune files, since partition columns come from the paths.
    """
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for table in tables:
        connection.execute(_view(table, snapshot_files(root, table)))
    connection.execute(f"set allowed_directories = ['{_quoted(str(root))}']")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _view(table: Table, files: list[str]) -> str:
    columns = ", ".join(f"{column.name}::{_duckdb_type(column.type)} as {column.name}" for column in table.columns)
    if not files:
        empty = ", ".join(f"null::{_duckdb_type(column.type)} as {column.name}" for column in table.columns)
        return f"create view {table.name} as select {empty} where false"
    listed = ", ".join(f"'{_quoted(file)}'" for file in files)
    types = ", ".join(f"{name}: date" for name in table.partition)
    partition = f", hive_partitioning = true, hive_types = {{{types}}}" if types else ", hive_partitioning = false"
    return f"create view {table.name} as select {columns} from read_parquet([{listed}]{partition})"
