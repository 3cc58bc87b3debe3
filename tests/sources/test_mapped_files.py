"""Files of every kind by a mapping: told, read, landed, replayed."""

import json
from collections import Counter
from datetime import date

import pytest
from typer.testing import CliRunner

from recpipe.choice import Choice
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.landing import land, landed_files, replay
from recpipe.settings import CHECKOUT
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import CSV, LINES, PARQUET, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.records import Accepted, Event
from recpipe.sources.replay import origin_lines, read_origin
from tests.lakes import empty_lake
from tests.orders import COLUMNS, NOON, csv_lines, mapped, order, orders
from tests.raw_lines import seconds, write_lines, write_parquet

TODAY = date(2024, 3, 1)
REAL = CHECKOUT.parent / "shared" / "data" / "amazon2014_sequences" / "ReChorus_Grocery_train.csv.gz"


def accepted(path, layout):
    decode, found = layout.decoder(), []
    for line in records_of(path, layout):
        read = parse(line.content, layout.format, decode, TODAY)
        assert isinstance(read, Accepted), read
        found.append(read.record)
    return found


TWO = [Event("U1", "I,1", "purchase", NOON * 1_000_000), Event("U2", "I2", "purchase", (NOON + 1) * 1_000_000)]
ROWS = [("U1", "I,1", NOON), ("U2", "I2", NOON + 1)]
QUERY = f"select 'U1' as buyer, 'I,1' as sku, {NOON} as paid_at union all select 'U2', 'I2', {NOON + 1}"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("has_header", [True, False])
def test_csv_is_read_with_and_without_a_header(tmp_path, delimiter, has_header):
    format_ = orders(delimiter=delimiter)
    lines = csv_lines(*([COLUMNS] if has_header else []), *ROWS, delimiter=delimiter)
    path = write_lines(tmp_path / "o.csv", *lines)
    layout = layout_of(path, [format_], () if has_header else COLUMNS)
    assert layout == (format_, CSV, COLUMNS, has_header)
    assert accepted(path, layout) == TWO


def test_json_lines_are_read(tmp_path):
    format_ = orders(file="jsonl")
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() for row in ROWS]
    path = write_lines(tmp_path / "o.jsonl.gz", *lines, zipped=True)
    layout = layout_of(path, [*FORMATS, format_])
    assert layout == (format_, LINES, (), False)
    assert accepted(path, layout) == TWO


def test_parquet_is_read(tmp_path):
    format_ = orders(file="parquet")
    path = write_parquet(tmp_path / "o.parquet", QUERY)
    layout = layout_of(path, [*FORMATS, orders(), format_])
    assert layout == (format_, PARQUET, (), False)
    assert accepted(path, layout) == TWO


def test_parquet_with_timestamps_and_nested_fields_is_read(tmp_path):
    format_ = orders(file="parquet", user_id="user.id", time_unit="iso")
    query = f"select {{'id': 8}} as \"user\", 9 as sku, to_timestamp({NOON}) as paid_at"
    path = write_parquet(tmp_path / "o.parquet", query)
    assert accepted(path, layout_of(path, [format_])) == [Event("8", "9", "purchase", NOON * 1_000_000)]


@pytest.mark.parametrize(
    ("file", "write"),
    [
        ("csv", lambda path: write_lines(path, b"buyer,item,paid_at", b"U1,I1,1")),
        ("csv", lambda path: write_lines(path, b"buyer;sku;paid_at", b"U1;I1;1")),
        ("csv", lambda path: write_lines(path, b"<html>404</html>")),
        ("csv", lambda path: write_lines(path, json.dumps(order()).encode())),
        ("jsonl", lambda path: write_lines(path, b'{"buyer": 1, "sku": 2}')),
        ("jsonl", lambda path: write_lines(path, b"buyer,sku,paid_at", b"U1,I1,1")),
        ("parquet", lambda path: write_parquet(path, "select 1 as buyer, 2 as sku")),
        ("csv", lambda path: write_parquet(path, QUERY)),
        ("parquet", lambda path: write_lines(path, b"buyer,sku,paid_at", b"U1,I1,1")),
    ],
)
def test_a10_a_file_without_the_mapped_fields_is_refused_and_they_are_named(tmp_path, file, write):
    path = write(tmp_path / "o")
    with pytest.raises(UserError, match=r"expected events \(shop\) with buyer, sku, paid_at in .*, found ") as refusal:
        layout_of(path, [orders(file=file)])
    assert "\n" not in str(refusal.value)


GOODS = {"kind": "items", "file": "jsonl", "item_id": "sku", "title": "name", "price": "cost"}


def test_json_lines_may_lack_what_a_record_need_not_have(tmp_path):
    goods = mapped(**GOODS)
    path = write_lines(tmp_path / "g.jsonl", b'{"sku": "A"}', b'{"sku": "B", "name": "Mug"}')
    assert layout_of(path, [*FORMATS, goods]).format == goods
    assert [item.title for item in accepted(path, layout_of(path, [goods]))] == [None, "Mug"]


def test_json_lines_without_a_field_that_every_record_has_are_refused_and_it_is_named(tmp_path):
    path = write_lines(tmp_path / "g.jsonl", b'{"id": "A", "name": "Mug"}')
    with pytest.raises(
        UserError, match=r"expected items \(shop\) with sku in .*g\.jsonl, found no sku in its first lines"
    ):
        layout_of(path, [mapped(**GOODS)])


def test_a_csv_header_and_parquet_have_all_columns_of_the_mapping(tmp_path):
    with pytest.raises(UserError, match="with sku, name, cost in"):
        layout_of(write_lines(tmp_path / "g.csv", b"sku,name", b"A,Mug"), [mapped(**{**GOODS, "file": "csv"})])


def test_a_mapped_column_of_parquet_that_is_there_twice_is_refused(tmp_path):
    query = 'select 1 as buyer, 2 as sku, 3 as paid_at, 4 as sky, 5 as n_1, {"sku": 6} as more'
    path = write_parquet(tmp_path / "o.parquet", query)
    assert layout_of(path, [orders(file="parquet")])
    path.write_bytes(path.read_bytes().replace(b"sky", b"sku"))
    with pytest.raises(UserError, match=r"expected one column sku in .*o\.parquet, found 2"):
        layout_of(path, [orders(file="parquet")])


def test_a_column_of_parquet_that_holds_a_mapped_field_and_is_there_twice_is_refused(tmp_path):
    path = write_parquet(tmp_path / "o.parquet", "select 1 as buyer, 3 as paid_at, {'id': 2} as sku, {'id': 2} as sky")
    path.write_bytes(path.read_bytes().replace(b"sky", b"sku"))
    with pytest.raises(UserError, match=r"expected one column sku in .*o\.parquet, found 2"):
        layout_of(path, [orders(file="parquet", item_id="sku.id")])


@pytest.mark.parametrize("put", [land, replay])
def test_of_columns_of_parquet_that_differ_only_in_case_the_mapped_one_is_read(tmp_path, put):
    format_ = orders(file="parquet", item_id="SKU")
    path = write_parquet(tmp_path / "o.parquet", f"select 'U1' as buyer, 'I1' as sku, 'I2' as sky, {NOON} as paid_at")
    path.write_bytes(path.read_bytes().replace(b"sky", b"SKU"))
    put([path], Choice("shop", [format_]), tmp_path / "landing", TODAY)
    [(_, _, there)] = landed_files(tmp_path / "landing")
    assert accepted(there, read_origin(there, [format_]).layout) == [TWO[0]._replace(item_id="I2")]


def test_a_mapped_column_that_is_there_twice_is_refused(tmp_path):
    path = write_lines(tmp_path / "o.csv", b"buyer,sku,paid_at,sku,x,x", b"U1,I1,1,I2,0,0")
    with pytest.raises(UserError, match=r"expected one column sku in .*o\.csv, found 2"):
        layout_of(path, [orders()])


def landed_events(landing, formats):
    """The events and the places in their dump of every landed file, by day."""
    found = {}
    for _, day, path in landed_files(landing):
        origin = read_origin(path, formats)
        found[str(day)] = accepted(path, origin.layout), list(origin_lines(path))
    return found


@pytest.mark.parametrize("file", ["csv", "no_header", "jsonl", "parquet"])
def test_a_replayed_file_is_cut_by_its_mapping(tmp_path, file):
    format_ = orders(file=file.replace("no_header", "csv"))
    days = (seconds("2024-01-03"), seconds("2024-01-01"), seconds("2024-01-03") + 1)
    rows = [(f"U{n}", "I1", day) for n, day in enumerate(days)]
    if file == "parquet":
        selects = [f"select '{user}' as buyer, '{item}' as sku, {at} as paid_at" for user, item, at in rows]
        path = write_parquet(tmp_path / "o.parquet", " union all ".join(selects))
    elif file == "jsonl":
        lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() for row in rows]
        path = write_lines(tmp_path / "o.jsonl", *lines)
    else:
        path = write_lines(tmp_path / "o.csv", *csv_lines(*([COLUMNS] if file == "csv" else []), *rows))
    choice = Choice("shop", [format_], COLUMNS if file == "no_header" else ())
    [report] = replay([path], choice, tmp_path / "landing", date(2024, 1, 2))
    assert report.lines == {date(2024, 1, 2): 1, date(2024, 1, 3): 2}
    events = [Event(user, item, "purchase", at * 1_000_000) for user, item, at in rows]
    header = 1 if file == "csv" else 0
    assert landed_events(tmp_path / "landing", [format_]) == {
        "2024-01-02": ([events[1]], [2 + header]),
        "2024-01-03": ([events[0], events[2]], [1 + header, 3 + header]),
    }


def test_a_landed_parquet_file_is_read_from_its_day_folder(tmp_path):
    format_ = orders(file="parquet")
    path = write_parquet(tmp_path / "o.parquet", QUERY)
    [report] = land([path], Choice("shop", [format_]), tmp_path / "landing", TODAY)
    [(kind, _, there)] = landed_files(tmp_path / "landing")
    assert (kind, report.lines) == ("events", {TODAY: 2})
    assert accepted(there, read_origin(there, [format_]).layout) == TWO


@pytest.mark.skipif(not REAL.exists(), reason=f"needs the real file {REAL}")
def test_a_real_file_of_interactions_is_read_as_views():
    format_ = orders(delimiter="\t", user_id="user_id", item_id="item_id", event_type="view", occurred_at="time")
    layout = layout_of(REAL, [format_])
    decode = layout.decoder()
    outcomes = [parse(line.content, format_, decode, TODAY) for line in records_of(REAL, layout)]
    assert Counter(map(type, outcomes)) == {Accepted: 121_892}
    records = [found.record for found in outcomes]
    assert len({event.user_id for event in records}) == 14_681
    assert min(event.occurred_at for event in records) == seconds("2000-08-09") * 1_000_000
    assert {event.event_type for event in records} == {"view"}


def test_the_command_line_names_the_shops_formats(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    (tmp_path / "settings.toml").write_text(
        '[sources.our-orders]\nuser_id = "a"\nitem_id = "b"\nevent_type = "view"\noccurred_at = "c"\n'
    )
    empty_lake(tmp_path / "lake")
    command = ["land", str(tmp_path / "settings.toml"), "--format", "orders", "--arrived-on", "2024-01-01"]
    refusal = CliRunner().invoke(app, command).exception
    assert str(refusal).startswith("expected a format out of our-orders, amazon-2018, ")
