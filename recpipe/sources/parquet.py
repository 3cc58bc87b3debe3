"""Parquet files, a record a row. Read by DuckDB, which every environment has."""

import glob
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson

from recpipe.errors import UserError
from recpipe.sources.lines import MAX_LINE, Part

ROWS = 10
"""Rows fetched at a time. A thousand are hardly quicker, and may share a long text that a small file holds once."""

MEMORY = "512MB"
"""That DuckDB may use, so that a row group of huge values is refused; it does not count the 2,048 rows that it hands
over at a time."""

MAGIC = b"PAR1"

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS
# Day folders look like Hive partitions, which would add a column arrived_on to every landed file.
_SCHEMA = "select name, num_children from parquet_schema(?)"
_ROWS = "from read_parquet(?, hive_partitioning = false)"


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Names as the file has them.

    Raises:
        UserError: the file is not whole.
    """
    try:
        with _connected() as connection:
            return _names(connection, path)
    except duckdb.Error as error:
        raise _unreadable(path, error) from None


def parquet_parts(path: Path) -> Iterator[Part]:
    """Every row as a line of JSON, numbered from 1. Times are ISO 8601 in UTC, whole decimals and bytes text.

    Raises:
        UserError: the file is not whole, or has values that do not fit into MEMORY.
    """
    number = 0
    try:
        with _connected() as connection:
            names = _names(connection, path)
            rows = connection.execute(_ROWS, [_quoted(path)])
            while some := rows.fetchmany(ROWS):
                for row in some:
                    number += 1
                    content = _json(names, row)
                    yield Part(number, content + b"\n", too_long=len(content) > MAX_LINE)
    except duckdb.Error as error:
        raise _unreadable(path, error) from None


def _names(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    """Of the columns, from the schema, since in rows DuckDB puts a number behind a name that is there in any case.

    The schema lists the root, then each column with all that it holds behind it.
    """
    names, held = [], 0
    for name, children in connection.execute(_SCHEMA, [_quoted(path)]).fetchall()[1:]:
        if not held:
            names.append(name)
        held = max(0, held - 1) + (children or 0)
    return tuple(names)


def _quoted(path: Path) -> str:
    """The path as the pattern that only it fits, since DuckDB takes paths for patterns."""
    return glob.escape(str(path))


def _json(names: Sequence[str], row: Sequence[Any]) -> bytes:
    try:
        return orjson.dumps(dict(zip(names, row, strict=True)), default=_text, option=_OPTIONS)
    except TypeError:  # such as a time of day with an offset
        return orjson.dumps({name: _plain(value) for name, value in zip(names, row, strict=True)}, option=_OPTIONS)


def _plain(value: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(value, default=_text, option=_OPTIONS))
    except (TypeError, ValueError):
        return str(value)


def _text(value: Any) -> str | float:
    """Old writers mark text as bytes; bytes that are no UTF-8 become U+FFFD, which no id may hold.

    A decimal without a fraction stays text, since it may be an id of more digits than a number holds.
    """
    if isinstance(value, Decimal) and value.as_tuple().exponent < 0:
        return float(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _connected() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": MEMORY, "threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _unreadable(path: Path, error: Exception) -> UserError:
    why = str(error).partition("\n")[0]
    return UserError(f"expected a whole Parquet file, found {path} unreadable ({why}); fetch it again")
