"""Parquet files, a record a row. Read by DuckDB, which every environment has."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import orjson

from recpipe.errors import UserError
from recpipe.sources.lines import MAX_LINE, Part

ROWS = 1000
"""Rows fetched at a time."""

MAGIC = b"PAR1"


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Raises:
    UserError: the file is not whole.
    """
    try:
        with _connected() as connection:
            return tuple(connection.read_parquet(str(path), hive_partitioning=False).columns)
    except duckdb.Error as error:
        raise _unreadable(path, error) from None


def parquet_parts(path: Path) -> Iterator[Part]:
    """Every row as a line of JSON, numbered from 1. Times are written as ISO 8601 in UTC.

    Raises:
        UserError: the file is not whole.
    """
    number = 0
    try:
        with _connected() as connection:
            names = parquet_columns(path)
            # Else the name of the day folder, arrived_on=DAY, comes as a column of its own.
            rows = connection.execute("from read_parquet(?, hive_partitioning = false)", [str(path)])
            while some := rows.fetchmany(ROWS):
                for row in some:
                    number += 1
                    content = orjson.dumps(dict(zip(names, row, strict=True)), default=str, option=_OPTIONS)
                    yield Part(number, content + b"\n", too_long=len(content) > MAX_LINE)
    except duckdb.Error as error:
        raise _unreadable(path, error) from None


_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def _connected() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": "512MB", "threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _unreadable(path: Path, error: Exception) -> UserError:
    why = str(error).partition("\n")[0]
    return UserError(f"expected a whole Parquet file, found {path} unreadable ({why}); fetch it again")
