"""Reading and writing the lake without a JVM: delta-rs commits, DuckDB reads. The Spark side is `lake.py`."""

import errno
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from recpipe import commits
from recpipe.delta_contract import delta_schema, differences, duckdb_type, missing_constraints
from recpipe.errors import UserError
from recpipe.locks import file_lock
from recpipe.tables import ERASED_USERS, OF_USERS, RUNS, TABLES, Table

STAGING = ".staging"
"""Folder of the lake for files that a job writes for itself and reads again."""

SPARK_FILES = ".spark"
"""Folder of the lake for what Spark sets aside of a job's rows, a folder a session."""

SPILLED = ".duckdb"
"""Folder of the lake for rows of a query that do not fit into memory."""

_BROKEN = re.compile(r"Invalid data found: (\d+) rows failed validation check")

_ROWS_AN_INSERT = 50
"""Of a statement that is planned once: an eighth of the time of as many statements."""


_OF_FILES = re.compile(r"Kernel error|[Pp]arquet|Object Store|LocalFileSystem|\(os error")
_ANEW = (
    "move the lake away, run `recpipe init` and `make backfill` from the first arrival on: what landed is still there"
)


@contextmanager
def readable_errors(what: str = "the files of the lake") -> Iterator[None]:
    """Turn what delta-rs and DuckDB say of files that are missing or broken, or of a full disk, into one line.

    Raises:
        OSError: the disk is full.
        UserError: ``what`` cannot be read or written.
    """
    try:
        yield
    except (DeltaError, duckdb.IOException, duckdb.InvalidInputException) as error:
        text = str(error)
        if "No space left on device" in text:
            raise OSError(errno.ENOSPC, f"expected room to write {what}, found none; free some") from None
        is_a_kind = isinstance(error, DeltaError) and type(error) is not DeltaError  # such as a conflict with a writer
        if is_a_kind or not _OF_FILES.search(text):
            raise
        said = text.partition("\n")[0][:300]
        raise UserError(f"expected {what} whole, found {said}; bring back what is missing, or {_ANEW}") from None


def create_tables(root: Path) -> list[str]:
    """Create the tables that do not exist yet, and give their names.

    Without reader features, so that every Delta reader and plain Parquet readers of its file list see the same rows.
    A table whose creation was broken off before its constraints gets them now.

    Raises:
        UserError: a table was made by another version of its contract.
    """
    created = []
    with file_lock(root / ".locks" / "init.lock"):
        for table in TABLES:
            uri = table_uri(root, table)
            if DeltaTable.is_deltatable(uri):
                made = open_table(root, table)
            else:
                made = _create(uri, table)
                created.append(table.name)
            if checks := missing_constraints(table, made):
                made.alter.add_constraint(checks)
    return created


def _create(uri: str, table: Table) -> DeltaTable:
    return DeltaTable.create(
        uri,
        delta_schema(table),
        mode="error",
        partition_by=list(table.partition) or None,
        name=table.name,
        description=table.comment,
    )


def require_lake(root: Path) -> None:
    """Raises:
    UserError: a table is missing or half made, or was made by another version of its contract.
    """
    missing = [table.name for table in TABLES if not DeltaTable.is_deltatable(table_uri(root, table))]
    if missing:
        raise UserError(f"expected the tables of the lake at {root}, found no {', '.join(missing)}; run `recpipe init`")
    for table in TABLES:
        if checks := missing_constraints(table, open_table(root, table)):
            raise UserError(f"expected table {table.name} complete, found no {', '.join(checks)}; run `recpipe init`")


def versions(root: Path) -> dict[str, int]:
    """The newest version of every table but `runs`, by name."""
    return {table.name: open_table(root, table).version() for table in TABLES if table is not RUNS}


def table_uri(root: Path, table: Table) -> str:
    return str(root / table.name)


def open_table(root: Path, table: Table) -> DeltaTable:
    """Raises:
    UserError: there is no such table, its files alone do not say which rows it has, or it was made by another
        version of its contract.
    """
    try:
        with readable_errors(f"table {table.name} at {root}"):
            made = DeltaTable(table_uri(root, table))
    except TableNotFoundError:
        raise UserError(f"expected table {table.name} at {root}, found none; run `recpipe init`") from None
    protocol = made.protocol()
    features = protocol.reader_features or (["columnMapping"] if protocol.min_reader_version == 2 else [])
    if features:  # with deletion vectors, a file still holds rows that are deleted
        raise UserError(
            f"expected table {table.name} at {root} without reader features, found {', '.join(features)}; "
            "make it anew without them: move the lake away, run `recpipe init`, and run its days again"
        )
    if said := differences(table, made):
        raise UserError(
            f"expected the tables at {root} to be of this version of recpipe, found {table.name} with "
            f"{', '.join(said)}; {_ANEW}"
        )
    return made


Days = tuple[date, date]  # the first and the last, both inclusive


def snapshot_files(
    root: Path, table: Table, partition: Mapping[str, date] | None = None, between: Days | None = None
) -> list[str]:
    """The data files of the newest version, sorted; of the given partition or days alone.

    Never list the folder instead: it also holds files of older versions.
    """
    wanted = [(name, "=", day.isoformat()) for name, day in (partition or {}).items()]
    if between:
        wanted += [(table.day_column, sign, day.isoformat()) for sign, day in zip((">=", "<="), between, strict=True)]
    files = open_table(root, table).file_uris(file_pruning_predicate=wanted or None)
    # delta-rs quotes a local path as in a URL; neither DuckDB nor pyarrow takes that back.
    return sorted(unquote(file) for file in files)


def days(root: Path, table: Table) -> set[date]:
    """The days that have rows, from the table's metadata alone."""
    return {date.fromisoformat(part[table.day_column]) for part in open_table(root, table).partitions()}


def last_commit(root: Path, table: Table, day: date) -> dict[str, Any] | None:
    """Metadata of the newest commit that replaced ``day``, if only by no rows; None when the log does not tell, or a
    user was erased since: then the rows are not what it made."""
    return last_commits(root, table, [day]).get(day)


def last_commits(root: Path, table: Table, days: Collection[date]) -> dict[date, dict[str, Any]]:
    """`last_commit` of each of ``days`` of which the log tells, in one reading of it."""
    found: dict[date, dict[str, Any]] = {}
    for commit in open_table(root, table).history():
        if commit["operation"] == "DELETE":
            break
        with suppress(ValueError, AttributeError):  # text of another writer
            told = json.loads(commit.get("userMetadata") or "{}")
            first, last = told.get("first_day", "9"), told.get("last_day", "")
            found |= {day: told for day in days if first <= day.isoformat() <= last and day not in found}
    return found


def count_rows(root: Path, table: Table, day: date) -> int:
    with connect(root, [table]) as lake:
        counted = f"select count(*) from {table.name} where {table.day_column} = $day"
        return lake.sql(counted, params={"day": day}).fetchall()[0][0]


def table_lock(root: Path, table: Table) -> AbstractContextManager[None]:
    """Hold the table's file lock, which both engines take around a commit on a local path (`Lake` through the JVM).

    What is decided by what the table holds is decided under it. A writer on another host is not kept out: its commit
    makes this one fail with `CommitFailedError`, and the job's next attempt reads again.
    """
    return file_lock(lock_file(root, table))


def lock_file(root: Path, table: Table) -> Path:
    return root / ".locks" / f"{table.name}.lock"


Rows = Sequence[Mapping[str, Any]] | Any  # dicts, or anything that exports an Arrow stream


def overwrite_partition(root: Path, table: Table, rows: Rows, day: date, known: DeltaTable | None = None) -> int:
    """Replace the rows of ``day`` by ``rows`` in one commit; no rows clear the day. Gives the new version.

    Args:
        known: the version that the rows were made of, if they were.

    Raises:
        CommitFailedError: the day was written since that version, from another host.
        ValueError: a row breaks a constraint of the table, or lies on another day.
    """
    told = {"first_day": day.isoformat(), "last_day": day.isoformat()}
    return _write(root, table, rows, predicate=f"{table.day_column} = '{day.isoformat()}'", known=known, **told)


def replace(root: Path, table: Table, rows: Rows) -> int:
    """Replace every row of the table in one commit. Gives the new version."""
    return _write(root, table, rows, predicate=None)


def append(root: Path, table: Table, rows: Rows) -> int:
    """Add ``rows`` in one commit. Gives the new version."""
    return _write(root, table, rows, predicate=None, mode="append")


def commit_properties(table: Table, **more: str) -> CommitProperties:
    """What a commit of delta-rs tells of its maker, in the place where Spark has it.

    Names of our own beside it may be Spark's: it cannot read a log with a text as `job`.
    """
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(commits.metadata(table, **more))})


def _write(  # noqa: PLR0913 - what is written where, how, and what is said of it
    root: Path,
    table: Table,
    rows: Rows,
    *,
    predicate: str | None,
    mode: str = "overwrite",
    known: DeltaTable | None = None,
    **told: str,
) -> int:
    with table_lock(root, table), readable_errors(f"table {table.name}"):
        commits.require_newest(table)
        target = known or open_table(root, table)
        try:
            write_deltalake(
                target,
                _arrow(table, rows),
                mode=mode,
                predicate=predicate,
                commit_properties=commit_properties(table, **told),
            )
        except DeltaError as error:
            if broken := _BROKEN.search(str(error)):  # it goes on with the rows, and what people wrote is for no log
                said = f"expected rows of table {table.name} as its contract says"
                where = f" and where {predicate}" if predicate else ""
                raise ValueError(f"{said}{where}, found {broken[1]} others; nothing was written") from None
            raise
        return target.version()


def _arrow(table: Table, rows: Rows) -> Any:
    if hasattr(rows, "__arrow_c_stream__"):
        return rows
    connection = duckdb.connect()
    ddl = ", ".join(f"{column.name} {duckdb_type(column.type)}" for column in table.columns)
    connection.execute(f"create table staged ({ddl})")
    marks = f"({', '.join('?' for _ in table.columns)})"
    for start in range(0, len(rows), _ROWS_AN_INSERT):
        few = rows[start : start + _ROWS_AN_INSERT]
        values = [row[name] for row in few for name in table.column_names]
        connection.execute(f"insert into staged values {', '.join([marks] * len(few))}", values)
    return connection.table("staged")


def connect(root: Path, tables: Iterable[Table] = TABLES, between: Days | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB session with a view for every table over its current files; it can read nothing else.

    No view has rows of erased users. Days that a query names prune files, since partition columns come from the paths.
    ``between`` leaves all other days out of the views, which is quicker where a table has a thousand.
    """
    tables = tuple(tables)
    erased = snapshot_files(root, ERASED_USERS) if set(tables) & set(OF_USERS) else []
    return _connect(root, tables, erased, between)


def connect_with_erased(root: Path, tables: Iterable[Table]) -> duckdb.DuckDBPyConnection:
    """As `connect`, but with the rows of erased users that are left: for what removes them, and nobody else."""
    return _connect(root, tables, [])


def erased_users(root: Path) -> list[str]:
    """Their ids, ascending."""
    with connect(root, [ERASED_USERS]) as lake:
        return [user_id for (user_id,) in lake.sql("from erased_users select user_id order by user_id").fetchall()]


def erased_hash(root: Path) -> str:
    """Tells which users rows were made without, and names none of them."""
    return hashlib.sha256("\n".join(erased_users(root)).encode()).hexdigest()[:12]


def _connect(
    root: Path, tables: Iterable[Table], erased: list[str], between: Days | None = None
) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    # Not in the folder where the command was typed: what is left by one that is killed goes with an erasure.
    connection.execute(f"set temp_directory = '{_quoted(str(root / SPILLED))}'")
    read = set(erased)
    for table in tables:
        files = snapshot_files(root, table, between=between)
        with readable_errors(f"table {table.name} at {root}"):
            connection.execute(_view(table, files, erased if table in OF_USERS else []))
        read.update(files)
    connection.execute(f"set allowed_paths = {_listed(sorted(read))}")  # not folders: older files have erased users
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _view(table: Table, files: list[str], erased: list[str]) -> str:
    """The statement that makes a view over ``files``, without the users in the files ``erased``."""
    columns = ", ".join(f"{column.name}::{duckdb_type(column.type)} as {column.name}" for column in table.columns)
    if not files:
        empty = ", ".join(f"null::{duckdb_type(column.type)} as {column.name}" for column in table.columns)
        return f"create view {table.name} as select {empty} where false"
    types = ", ".join(f"{name}: date" for name in table.partition)
    partition = f", hive_partitioning = true, hive_types = {{{types}}}" if types else ", hive_partitioning = false"
    left_in = f" where user_id not in (select user_id from read_parquet({_listed(erased)}))" if erased else ""
    return f"create view {table.name} as select {columns} from read_parquet({_listed(files)}{partition}){left_in}"


def _listed(files: list[str]) -> str:
    return "[" + ", ".join(f"'{_quoted(file)}'" for file in files) + "]"
