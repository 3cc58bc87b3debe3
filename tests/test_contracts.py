"""Tables as they are made: columns, constraints, protocol, and what is said of one that was made otherwise."""

import difflib
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import duckdb
import pytest

from recpipe import delta
from recpipe.delta_contract import constraints, duckdb_type
from recpipe.errors import UserError
from recpipe.tables import REVIEWS, RUNS, TABLES
from tests.columns import FILE, columns


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    delta.create_tables(root)
    return root


@pytest.fixture
def lake(tmp_path):
    delta.create_tables(tmp_path)
    return tmp_path


def test_columns_are_those_that_readers_know():
    changed = [line for line in difflib.ndiff(FILE.read_text().splitlines(), columns().splitlines()) if line[0] in "+-"]
    told = f"{'; '.join(changed)}. If intended: .venvs/reader/bin/python -m tests.columns, and a line in CHANGELOG.md"
    assert not changed, told


def checks_of(made, table):
    """The constraints that the table keeps, by name."""
    mark = "delta.constraints."
    kept = delta.open_table(made, table).metadata().configuration
    return {name.removeprefix(mark): check for name, check in kept.items() if name.startswith(mark)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_keeps_what_its_contract_says(made, table):
    fields = delta.open_table(made, table).schema().fields
    assert [(field.name, field.nullable) for field in fields] == [(c.name, c.nullable) for c in table.columns]
    checked = [name for name in table.ranges if not table.column(name).type.startswith("array")]
    expected = {f"{name}_in_range" for name in checked} | {f"{name}_allowed" for name in table.values}
    assert set(checks_of(made, table)) == expected


def accepts(check, column, value):
    cast = duckdb_type(column.type)
    asked = duckdb.sql(f"select {check} from (select $value::{cast} as {column.name})", params={"value": value})
    return asked.fetchall() == [(True,)]


CHECKED = [
    (table, column) for table in TABLES for column in table.columns if f"{column.name}_in_range" in constraints(table)
]
WORDS = [(table, table.column(name)) for table in TABLES for name in table.values]


@pytest.mark.parametrize(("table", "column"), CHECKED, ids=lambda part: part.name)
def test_a_range_ends_where_the_contract_says(made, table, column):
    check = checks_of(made, table)[f"{column.name}_in_range"]
    low, high = table.ranges[column.name]
    assert accepts(check, column, low)
    assert accepts(check, column, high)
    assert not accepts(check, column, low - 1)
    if column.type == "double":
        assert not accepts(check, column, high + 1)
        assert not accepts(check, column, math.nan)
    assert accepts(check, column, None) == column.nullable


@pytest.mark.parametrize(("table", "column"), WORDS, ids=lambda part: part.name)
def test_the_words_are_those_of_the_contract(made, table, column):
    check = checks_of(made, table)[f"{column.name}_allowed"]
    assert all(accepts(check, column, word) for word in table.values[column.name])
    assert not accepts(check, column, "another")


def test_e06_first_inits_that_race_make_each_table_once(tmp_path):
    with ThreadPoolExecutor(4) as together:
        created = list(together.map(delta.create_tables, [tmp_path] * 4))
    assert sorted(map(len, created)) == [0, 0, 0, len(TABLES)]
    delta.require_lake(tmp_path)


def test_a_creation_that_was_broken_off_is_told_and_completed(lake):
    delta.open_table(lake, REVIEWS).alter.drop_constraint("vote_in_range")
    with pytest.raises(UserError, match="expected table reviews complete, found no vote_in_range; run `recpipe init`"):
        delta.require_lake(lake)
    assert delta.create_tables(lake) == []
    delta.require_lake(lake)


@pytest.mark.parametrize("command", [delta.require_lake, delta.create_tables, lambda lake: delta.connect(lake, [RUNS])])
def test_a_lake_of_another_version_is_told_in_one_line(lake, command):
    shutil.rmtree(lake / "runs")
    delta._create(delta.table_uri(lake, RUNS), replace(REVIEWS, partition=()))
    with pytest.raises(UserError) as raised:
        command(lake)
    told = str(raised.value)
    assert "found runs with an unknown arrived_on, " in told
    assert "no attempt, " in told
    assert ", other partitions; move the lake away, run `recpipe init`" in told
    assert "\n" not in told


def test_a_column_of_another_type_is_told(lake):
    columns = tuple(replace(column, type="bigint") if column.name == "attempt" else column for column in RUNS.columns)
    shutil.rmtree(lake / "runs")
    delta._create(delta.table_uri(lake, RUNS), replace(RUNS, columns=columns))
    with pytest.raises(UserError, match="found runs with another attempt; move"):
        delta.require_lake(lake)
