"""A shop's own files, read by a mapping of their fields."""

import json
import pickle
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpipe.settings import Settings
from recpipe.source_settings import Source
from recpipe.sources.formats import Layout, dated, parse
from recpipe.sources.known import FORMATS, known_formats
from recpipe.sources.mapped import mapped_formats
from recpipe.sources.records import Accepted, Event, Item, Reject, RejectError, Review, User, decode_json
from recpipe.sources.values import is_id
from recpipe.tables import EVENT_TYPES, MIN_DAY
from tests.orders import COLUMNS, NOON, csv_lines, mapped, order, orders
from tests.raw_lines import seconds

TODAY = date(2024, 3, 1)
REVIEWS = {"kind": "reviews", "user_id": "who", "item_id": "what", "rating": "stars", "reviewed_at": "at"}


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


def click(**fields):
    return order(**{"what": "pdp", **fields})


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


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("users", "gender", 1.0, ["unreadable_gender"]),
        ("users", "gender", 1, []),
        ("users", "occupation", ["dev"], ["unreadable_occupation"]),
        ("items", "title", True, ["unreadable_title"]),
        ("items", "categories", [1, 2, {"a": 1}], ["unreadable_categories"]),
        ("items", "image_url", "data:x", ["unreadable_image_url"]),
        ("items", "image_url", "//a.b/c.jpg", []),
        ("items", "description", {"en": "Tea."}, ["unreadable_description"]),
    ],
)
def test_a_value_that_cannot_be_read_is_noted(kind, field, value, said):
    [format_] = mapped_formats({"shop": Source(**{"kind": kind, f"{kind[:-1]}_id": "id", field: "f"})})
    assert outcome(format_, {"id": "A1", "f": value}).notes == said


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


WORDS = st.sampled_from([*EVENT_TYPES, "pdp", "U1", "4.5", "2024-01-02", f"{NOON}", "https://x/1"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.just("id"), inner, max_size=3),
    max_leaves=5,
)
EVERY_FIELD = {
    "events": {"user_id": "a.id", "item_id": "b", "event_type": "c", "occurred_at": "d"},
    "reviews": dict(zip(Review._fields, ["a.id", *"bdcefgh"], strict=True)),
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


USABLE = {"a": {"id": "U1"}, "b": "I1", "d": NOON}


@settings(max_examples=200, deadline=None)
@given(
    SOURCES,
    st.sampled_from([{}, {**USABLE, "c": "view"}, {**USABLE, "c": 4}]),
    st.dictionaries(st.sampled_from([*"abcdefgh", "a.id"]), ANYTHING),
)
def test_whatever_fields_hold_there_is_a_record_or_a_reason(source, usable, others):
    [format_] = mapped_formats({"shop": source})
    fields = {**usable, **others}
    assert 0 <= format_.is_like(fields) <= 1
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
    names = (*COLUMNS[:2], "what", "paid_at")
    format_ = orders(file=file, event_type="what", time_unit=unit, delimiter=delimiter)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event.occurred_at)
    row = (*event[:3], at.isoformat() if unit == "iso" else event.occurred_at)
    if file == "csv":
        [content] = csv_lines(row, delimiter=delimiter)
    else:
        content = json.dumps(dict(zip(names, row, strict=True))).encode()
    decode = Layout(format_, format_.framing, names).decoder()
    assert parse(content, format_, decode, TODAY) == Accepted(event, [])
