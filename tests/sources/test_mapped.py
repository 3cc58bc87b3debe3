"""A shop's own files, read by a mapping of their fields."""

import csv
import io
import json
import pickle
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recpipe import delta
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.landing import Choice, land, landed_files, replay
from recpipe.settings import CHECKOUT, Settings
from recpipe.source_settings import Source
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import CSV, LINES, PARQUET, Layout, dated, parse
from recpipe.sources.known import FORMATS, known_formats
from recpipe.sources.mapped import mapped_formats
from recpipe.sources.records import Accepted, Event, Item, Reject, RejectError, Review, User, decode_json
from recpipe.sources.replay import origin_lines, read_origin
from recpipe.sources.values import is_id
from recpipe.tables import EVENT_TYPES, MIN_DAY
from tests.raw_lines import seconds, write_lines, write_parquet

TODAY = date(2024, 3, 1)
NOON = int(datetime(2024, 1, 2, 12, tzinfo=UTC).timestamp())
EVENTS = {"user_id": "buyer", "item_id": "sku", "event_type": "purchase", "occurred_at": "paid_at"}
REVIEWS = {"kind": "reviews", "user_id": "who", "item_id": "what", "rating": "stars", "reviewed_at": "at"}
REAL = CHECKOUT.parent / "shared" / "data" / "amazon2014_sequences" / "ReChorus_Grocery_train.csv.gz"


def mapped(**source):
    [format_] = mapped_formats({"shop": Source(**source)})
    return format_


def orders(**source):
    return mapped(**{**EVENTS, **source})


def clicks(**source):
    return orders(file="jsonl", event_type="what", event_types={"pdp": "view", "basket": "cart"}, **source)


def outcome(format_, fields):
    return parse(json.dumps(fields).encode(), format_, decode_json, TODAY)


def record(format_, **fields):
    found = outcome(format_, fields)
    assert isinstance(found, Accepted), found
    return found.record


def reason(format_, **fields):
    found = outcome(format_, fields)
    assert isinstance(found, Reject), found
    return found.reason


def order(**fields):
    return {"buyer": "U1", "sku": "I1", "paid_at": NOON, **fields}


def click(**fields):
    return order(**{"what": "pdp", **fields})


def csv_lines(*rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode().splitlines()


# Records


def test_an_order_is_a_purchase():
    assert record(orders(), **order(qty=3)) == Event("U1", "I1", "purchase", NOON * 1_000_000)


@pytest.mark.parametrize(
    ("word", "event_type"), [("pdp", "view"), ("basket", "cart"), (" pdp ", "view"), ("purchase", "purchase")]
)
def test_the_shops_words_become_types_of_event(word, event_type):
    assert record(clicks(), **click(what=word)).event_type == event_type


def test_a_number_may_stand_for_a_type_of_event():
    assert record(orders(event_type="what", event_types={"1": "view"}), **click(what=1)).event_type == "view"


@pytest.mark.parametrize("word", ["wishlist", "PDP", "View", 7, True, ["pdp"], {"pdp": 1}, " "])
def test_a_type_of_event_that_nobody_named_is_rejected(word):
    assert reason(clicks(), **click(what=word)) == "bad_event_type"


@pytest.mark.parametrize("word", [None, ""])
def test_a_missing_type_of_event_is_rejected(word):
    assert reason(clicks(), **click(what=word)) == "missing_event_type"


def test_ids_that_are_whole_numbers_become_text():
    assert record(orders(), **order(buyer=2**64 - 1, sku=0))[:2] == ("18446744073709551615", "0")
    assert record(orders(), **order(buyer="007"))[0] == "007"


@pytest.mark.parametrize(
    ("value", "why"), [(None, "missing"), ("", "missing"), (1.5, "bad"), (True, "bad"), ([1], "bad"), ("a\n", "bad")]
)
def test_a17_other_ids_are_rejected(value, why):
    assert reason(orders(), **order(buyer=value)) == f"{why}_user"
    assert reason(orders(), **order(sku=value)) == f"{why}_item"


def test_a17_a_field_that_a_line_lacks_is_missing():
    assert reason(orders(), sku="I1", paid_at=NOON) == "missing_user"
    assert reason(orders(), buyer="U1", sku="I1") == "missing_date"
    assert reason(clicks(), **order()) == "missing_event_type"


def test_dots_lead_into_nested_objects_unless_a_field_has_that_name():
    nested = orders(file="jsonl", user_id="user.id", item_id="item.key.sku")
    fields = {"user": {"id": 5}, "item": {"key": {"sku": "I9"}}, "paid_at": NOON}
    assert record(nested, **fields)[:2] == ("5", "I9")
    assert record(nested, **{**fields, "user.id": "flat"})[0] == "flat"
    for user in (None, "x", [], {}, {"id": None}):
        assert reason(nested, **{**fields, "user": user}) == "missing_user"


@pytest.mark.parametrize(
    ("unit", "value", "microseconds"),
    [
        ("s", NOON, NOON * 1_000_000),
        ("s", f"{NOON}", NOON * 1_000_000),
        ("s", NOON + 0.25, NOON * 1_000_000 + 250_000),
        ("ms", NOON * 1000 + 7, NOON * 1_000_000 + 7000),
        ("us", NOON * 1_000_000 + 7, NOON * 1_000_000 + 7),
        ("iso", "2024-01-02T12:00:00", NOON * 1_000_000),
        ("iso", "2024-01-02 12:00:00 UTC", NOON * 1_000_000),
        ("iso", "2024-01-02T14:00:00.000007+02:00", NOON * 1_000_000 + 7),
        ("iso", "2024-01-02", (NOON - 12 * 3600) * 1_000_000),
    ],
)
def test_c01_the_time_is_read_by_its_unit(unit, value, microseconds):
    assert record(orders(time_unit=unit), **order(paid_at=value)).occurred_at == microseconds


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", NOON * 1000, Reject("dated_after_arrival", wrong_unit=True)),
        ("ms", NOON, Reject("dated_before_1995", wrong_unit=True)),
        ("us", NOON, Reject("dated_before_1995")),
        ("s", seconds("2024-03-02"), Reject("dated_after_arrival")),
        ("s", 1e308, Reject("dated_after_arrival")),
        ("s", "2024-01-02", Reject("bad_date")),
        ("iso", NOON, Reject("bad_date")),
        ("iso", "yesterday", Reject("bad_date")),
        ("iso", "", Reject("missing_date")),
        ("s", None, Reject("missing_date")),
    ],
)
def test_c01_a_time_of_another_unit_or_day_is_rejected(unit, value, expected):
    assert outcome(orders(time_unit=unit), order(paid_at=value)) == expected


def test_a_mapped_review():
    names = {"title": "head", "text": "body", "vote": "helped", "verified": "bought"}
    format_ = mapped(**REVIEWS, **names)
    fields = {"who": 1, "what": 2, "stars": "4", "at": NOON, "head": "A <b>b</b>", "body": "c", "bought": "TRUE"}
    assert record(format_, **fields, helped="1,234") == Review(
        "1", "2", NOON * 1_000_000, 4.0, "A b", "c", 1234, verified=True
    )
    assert outcome(format_, {**fields, "helped": "x", "bought": "y"}).notes == [
        "unreadable_vote",
        "unreadable_verified",
    ]
    assert record(mapped(**REVIEWS), **fields)[4:] == (None, None, None, None)


def test_b03_half_stars_are_read_where_the_mapping_says_so():
    fields = {"who": "U", "what": "I", "at": NOON}
    assert record(mapped(**REVIEWS, half_stars=True), **fields, stars=4.5).rating == 4.5
    assert reason(mapped(**REVIEWS), **fields, stars=4.5) == "bad_rating"
    assert reason(mapped(**REVIEWS), **fields) == "missing_rating"


def test_a_mapped_item():
    names = {"item_id": "id", "title": "name", "categories": "path", "price": "cost", "image_url": "pic"}
    format_ = mapped(kind="items", **names, description="about", category_separator=">")
    fields = {"id": 5, "name": 1984, "path": "Home > Tea &amp; Mugs >", "cost": "$1,299.00", "about": "<p>x</p>"}
    expected = Item("5", "1984", None, ["Home", "Tea & Mugs"], 1299.0, "x", "https://x/1.jpg")
    assert record(format_, **fields, pic="https://x/1.jpg") == expected
    assert record(format_, **{**fields, "path": ["Home", "Tea & Mugs"]}, pic=["", "https://x/1.jpg"]) == expected
    assert outcome(format_, {**fields, "cost": "5 - 9"}).notes == ["unreadable_price"]
    assert record(format_, id="5") == Item("5", None, None, [], None, None, None)


def test_a_mapped_user():
    format_ = mapped(kind="users", user_id="id", age="years", gender="g", occupation="job")
    assert record(format_, id=1, years="35", g="F", job=7) == User("1", 35, "F", "7")
    assert outcome(format_, {"id": 1, "years": 151}) == Accepted(User("1", None, None, None), ["unreadable_age"])
    assert record(format_, id=1) == User("1", None, None, None)


# Formats


def test_a_format_can_be_sent_to_sparks_workers():
    for source in ({}, {"file": "jsonl", "event_type": "what"}, {"file": "parquet", "time_unit": "iso"}):
        sent = pickle.loads(pickle.dumps(orders(**source)))
        fields = click(what="cart", paid_at="2024-01-02" if source.get("time_unit") else NOON)
        assert sent.record(fields, [], TODAY) == orders(**source).record(fields, [], TODAY)
        assert sent.is_like(fields)


def test_mappings_come_before_built_in_formats_and_those_with_more_fields_first():
    few, many = {"kind": "users", "user_id": "id"}, {"kind": "users", "user_id": "id", "age": "years"}
    found = known_formats(Settings(sources={"few": few, "many": many}))
    assert [format_.name for format_ in found[:2]] == ["many", "few"]
    assert found[2:] == FORMATS


def test_a_record_is_dated_by_its_mapping():
    line = json.dumps(order()).encode()
    assert dated(line, orders(), decode_json) == date(2024, 1, 2)
    assert dated(b"{}", orders(), decode_json) is None
    assert mapped(kind="users", user_id="id").time is None


# Files


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
    names = ("buyer", "sku", "paid_at")
    lines = csv_lines(*([names] if has_header else []), *ROWS, delimiter=delimiter)
    path = write_lines(tmp_path / "o.csv", *lines)
    layout = layout_of(path, [format_], () if has_header else names)
    assert layout == (format_, CSV, names, has_header)
    assert accepted(path, layout) == TWO


def test_json_lines_are_read(tmp_path):
    format_ = orders(file="jsonl")
    lines = [json.dumps(dict(zip(("buyer", "sku", "paid_at"), row, strict=True))).encode() for row in ROWS]
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
    names, rows = ("buyer", "sku", "paid_at"), [(f"U{n}", "I1", day) for n, day in enumerate(days)]
    if file == "parquet":
        selects = [f"select '{user}' as buyer, '{item}' as sku, {at} as paid_at" for user, item, at in rows]
        path = write_parquet(tmp_path / "o.parquet", " union all ".join(selects))
    elif file == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))).encode() for row in rows]
        path = write_lines(tmp_path / "o.jsonl", *lines)
    else:
        path = write_lines(tmp_path / "o.csv", *csv_lines(*([names] if file == "csv" else []), *rows))
    choice = Choice("shop", [format_], names if file == "no_header" else ())
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
    shown = CliRunner().invoke(app, ["land", "--help"], terminal_width=200)
    assert "our-orders, amazon-2018" in shown.output
    delta.create_tables(tmp_path / "lake")
    command = ["land", str(tmp_path / "x"), "--format", "orders", "--arrived-on", "2024-01-01"]
    refusal = CliRunner().invoke(app, command).exception
    assert str(refusal).startswith("expected a format out of our-orders, amazon-2018, ")
    (tmp_path / "settings.toml").write_text("[sources.our-orders]\n")
    assert "amazon-2018" in CliRunner().invoke(app, ["land", "--help"], terminal_width=200).output


# Anything


WORDS = st.sampled_from([*EVENT_TYPES, "pdp", "U1", "4.5", "2024-01-02", f"{NOON}", "https://x/1"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.just("id"), inner, max_size=3),
    max_leaves=5,
)
EVERY_FIELD = {
    "events": {"user_id": "a.id", "item_id": "b", "event_type": "c", "occurred_at": "d"},
    "reviews": dict(zip(Review._fields, "a.id b d c e f g h".split(), strict=True)),
    "items": dict(zip(Item._fields, ["a.id", *"bcdefg"], strict=True)),
    "users": dict(zip(User._fields, ["a.id", *"bcd"], strict=True)),
}
SOURCES = st.builds(
    lambda kind, **options: Source(kind=kind, **EVERY_FIELD[kind], **options),
    st.sampled_from(sorted(EVERY_FIELD)),
    file=st.sampled_from(["csv", "jsonl", "parquet"]),
    time_unit=st.sampled_from(["s", "ms", "us", "iso"]),
    half_stars=st.booleans(),
    category_separator=st.sampled_from([None, ">"]),
)


USABLE = {"a": {"id": "U1"}, "b": "I1", "c": "view", "d": NOON}


@settings(max_examples=200, deadline=None)
@given(SOURCES, st.sampled_from([{}, USABLE]), st.dictionaries(st.sampled_from([*"abcdefgh", "a.id"]), ANYTHING))
def test_whatever_fields_hold_there_is_a_record_or_a_reason(source, usable, others):
    [format_] = mapped_formats({"shop": source})
    fields = {**usable, **others}
    assert format_.is_like(fields) in (True, False)
    try:
        made = format_.record(fields, [], TODAY)
    except RejectError as error:
        assert error.reject.reason.split("_")[0] in {"missing", "bad", "dated"}
    else:
        assert type(made) in (Review, Event, Item, User)
    if format_.time:
        try:
            assert isinstance(format_.time(fields), int)
        except RejectError as error:
            assert error.reject.reason in {"missing_date", "bad_date"}


IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(lambda text: text.strip(" ")).filter(is_id)
TIMES = st.integers(min_value=seconds(str(MIN_DAY)) * 1_000_000, max_value=seconds(str(TODAY)) * 1_000_000)
MADE = st.builds(Event, IDS.filter(bool), IDS.filter(bool), st.sampled_from(EVENT_TYPES), TIMES)


@settings(max_examples=150, deadline=None)
@given(MADE, st.sampled_from(["csv", "jsonl"]), st.sampled_from(["us", "iso"]), st.sampled_from([",", "\t", "|"]))
def test_an_event_that_is_written_comes_back(event, file, unit, delimiter):
    names = ("buyer", "sku", "what", "paid_at")
    format_ = orders(file=file, event_type="what", time_unit=unit, delimiter=delimiter)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event.occurred_at)
    row = (*event[:3], at.isoformat() if unit == "iso" else event.occurred_at)
    if file == "csv":
        [content] = csv_lines(row, delimiter=delimiter)
    else:
        content = json.dumps(dict(zip(names, row, strict=True))).encode()
    decode = Layout(format_, format_.framing, names).decoder()
    assert parse(content, format_, decode, TODAY) == Accepted(event, [])
