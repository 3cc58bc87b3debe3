"""Parquet as shops write it; the files are made by DuckDB."""

import tracemalloc

import orjson
import pytest

from recpipe.errors import UserError
from recpipe.sources import parquet
from recpipe.sources.lines import MAX_LINE, lines_of
from recpipe.sources.parquet import parquet_columns, parquet_parts
from tests.raw_lines import write_parquet


@pytest.fixture
def rows(tmp_path):
    """The rows of a query, after they went through a Parquet file."""

    def rows_of(query):
        path = write_parquet(tmp_path / "x.parquet", query)
        return [orjson.loads(part.content) for part in parquet_parts(path)]

    return rows_of


def test_columns_come_in_the_files_order(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "select 1 as b, 'x' as a, {'id': 1} as \"user\"")
    assert parquet_columns(path) == ("b", "a", "user")


def test_columns_whose_names_differ_only_in_case_keep_their_names(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "select 1 as title, {'Title_1': 2, 'x': [3]} as more, 4 as tXtle")
    path.write_bytes(path.read_bytes().replace(b"tXtle", b"Title"))
    assert parquet_columns(path) == ("title", "more", "Title")
    [row] = parquet_parts(path)
    assert orjson.loads(row.content) == {"title": 1, "more": {"Title_1": 2, "x": [3]}, "Title": 4}


def test_a_row_is_a_line_of_json_and_rows_are_numbered_from_1(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 2)
    path = write_parquet(tmp_path / "x.parquet", "select range as n, 'a\"\n' as t from range(5)")
    parts = list(parquet_parts(path))
    assert [part.number for part in parts] == [1, 2, 3, 4, 5]
    assert [part.content for part in parts] == [b'{"n":%d,"t":"a\\"\\n"}\n' % n for n in range(5)]
    assert not any(part.too_long for part in parts)


def test_rows_that_share_a_long_text_are_held_a_few_at_a_time(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "select repeat('x', 1000000) as t from range(200)")
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        assert sum(len(part.content) for part in parquet_parts(path)) > 200_000_000
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_a_file_without_rows_has_columns_and_no_parts(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "select 1 as a where false")
    assert (parquet_columns(path), list(parquet_parts(path))) == (("a",), [])


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
def test_c02_times_are_utc_wherever_the_machine_stands(rows, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    query = "select timestamp '2024-01-01 23:30:00' a, timestamptz '2024-01-02 01:30:00+02' b, date '2024-01-01' c"
    at = "2024-01-01T23:30:00+00:00"
    assert rows(query) == [{"a": at, "b": at, "c": "2024-01-01"}]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("[1, null, 2]", [1, None, 2]),
        ("{'id': 7, 'tags': [{'t': 'x'}]}", {"id": 7, "tags": [{"t": "x"}]}),
        ("map {'k': [1]}", {"k": [1]}),
        ("12.90::decimal(10, 2)", 12.9),
        ("12.99::decimal(19, 4)", 12.99),
        ("12.99::decimal(38, 18)", 12.99),
        ("170141183460469231731687303715884105::decimal(38, 0)", "170141183460469231731687303715884105"),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615::ubigint", 2**64 - 1),
        ("9007199254740993", 2**53 + 1),
        ("'caf\\xC3\\xA9'::blob", "café"),
        ("'a\\xFF'::blob", "a\ufffd"),
        ("null::varchar", None),
        ("'nan'::double", None),
        ("true", True),
        ("time '12:00:00'", "12:00:00"),
        ("timetz '12:00:00+00'", "12:00:00+00:00"),
        ("[timetz '12:00:00+00']", "[datetime.time(12, 0, tzinfo=datetime.timezone.utc)]"),
        ("interval 3 days", "3 days, 0:00:00"),
        ("'infinity'::timestamp", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_values_of_every_type_are_written(rows, value, read):
    assert rows(f"select {value} as v") == [{"v": read}]


def test_the_day_folder_is_no_column(tmp_path):
    path = write_parquet(tmp_path / "arrived_on=2024-01-01" / "x.parquet", "select 1 as a")
    assert parquet_columns(path) == ("a",)
    assert [part.content for part in parquet_parts(path)] == [b'{"a":1}\n']


def test_a_name_that_looks_like_a_pattern_is_that_file_alone(tmp_path):
    write_parquet(tmp_path / "x1.parquet", "select 'other' as a")
    for name in ("x*.parquet", "x?.parquet", "x[1].parquet"):
        path = write_parquet(tmp_path / "y.parquet", f"select '{name}' as a").rename(tmp_path / name)
        assert [orjson.loads(part.content) for part in parquet_parts(path)] == [{"a": name}]


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = write_parquet(tmp_path / "x.parquet", "select range as a, hash(range) as b from range(10000)")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (parquet_columns, lambda path: list(parquet_parts(path))):
        with pytest.raises(UserError, match=r"expected a whole Parquet file, found .*x\.parquet unreadable") as refusal:
            read(path)
        assert "\n" not in str(refusal.value)


def test_a_spoilt_page_is_refused(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "select range as a, hash(range) as b from range(10000)")
    content = bytearray(path.read_bytes())
    content[100:1000] = bytes(900)
    path.write_bytes(content)
    with pytest.raises(UserError, match="unreadable"):
        list(parquet_parts(path))


def test_rows_are_streamed_in_the_memory_that_duckdb_may_use(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MEMORY", "40MB")
    path = write_parquet(tmp_path / "x.parquet", "select repeat(md5((range % 9)::text), 60) as t from range(100000)")
    assert sum(len(part.content) for part in parquet_parts(path)) > 190e6
    assert path.stat().st_size < 2e6


def test_a11_a_value_beyond_that_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MEMORY", "40MB")
    path = write_parquet(tmp_path / "x.parquet", "select repeat('x', 100000000) as t")
    with pytest.raises(UserError, match="unreadable"):
        list(parquet_parts(path))


def test_a11_a_row_that_is_too_long_is_told_by_its_hash(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", f"select repeat('x', {MAX_LINE}) as t union all select 'y'")
    long, short = lines_of(parquet_parts(path))
    assert (long.too_long, long.content, len(long.sha256)) == (True, b"", 64)
    assert (short.number, short.content) == (2, b'{"t":"y"}')


def test_text_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1,b\n1,2\n")
    with pytest.raises(UserError, match="expected a whole Parquet file"):
        parquet_columns(path)
