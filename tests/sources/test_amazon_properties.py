"""What holds of every line, for each of Amazon's formats."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recpipe.sources import amazon, values
from recpipe.sources.formats import CSV, Layout, dated, parse
from recpipe.sources.records import Accepted, Item, Reject, Review
from tests.parsed import TODAY
from tests.raw_lines import (
    csv_record,
    item_2014,
    item_2018,
    item_2023,
    review_2014,
    review_2018,
    review_2023,
    seconds,
)

MANY = settings(max_examples=60, deadline=None)
LINES = {
    amazon.REVIEWS_2014: review_2014,
    amazon.ITEMS_2014: item_2014,
    amazon.REVIEWS_2018: review_2018,
    amazon.ITEMS_2018: item_2018,
    amazon.REVIEWS_2023: review_2023,
    amazon.ITEMS_2023: item_2023,
}
REVIEW_COLUMNS = ("reviewerID", "asin", "overall", "unixReviewTime", "summary", "reviewText")
COLUMNS = {
    amazon.CSV_2014: (*REVIEW_COLUMNS, "helpful"),
    amazon.CSV_2018: (*REVIEW_COLUMNS, "vote", "verified"),
    amazon.CSV_2023: ("user_id", "parent_asin", "rating", "timestamp", "title", "text", "helpful_vote"),
}
each_of_lines = pytest.mark.parametrize("format_", LINES, ids=str)
each = pytest.mark.parametrize("format_", amazon.FORMATS, ids=str)

IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20).filter(
    values.is_id
)
TEXTS = st.none() | st.text(max_size=30)
NAMES = st.none() | st.text(alphabet="abc é🙂", min_size=1).map(str.split).map(" ".join).map(lambda name: name or None)
REVIEWS = st.builds(
    Review,
    user_id=IDS,
    item_id=IDS,
    reviewed_at=st.integers(seconds("1995-01-01"), seconds("2024-03-02") - 1).map(lambda second: second * 1_000_000),
    rating=st.integers(1, 5).map(float),
    title=NAMES,
    text=TEXTS.map(lambda text: (text or "").replace("\0", "") or None),
    vote=st.none() | st.integers(0, 2**31 - 1),
    verified=st.none() | st.booleans(),
)
ITEMS = st.builds(
    Item,
    item_id=IDS,
    title=NAMES,
    brand=NAMES,
    categories=st.lists(NAMES.filter(bool), max_size=4, unique=True),
    price=st.none() | st.floats(0, 1e9),
    description=NAMES,
    image_url=st.none() | st.just("https://x/1.jpg"),
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from([10**400, "1e400"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=8,
)


def test_every_format_is_spoken_of():
    assert {*LINES, *COLUMNS} == set(amazon.FORMATS)


def layout_of(format_):
    return Layout(format_, format_.framing, COLUMNS.get(format_, ()))


def outcome(content, format_):
    decode = layout_of(format_).decoder()
    dated(content, format_, decode)
    return parse(content, format_, decode, TODAY)


def require_known(found):
    """Accepted within the contract's types, or rejected for a reason that someone thought of."""
    if isinstance(found, Reject):
        assert not found.reason.startswith("unreadable_"), found
        return
    assert values.is_id(found.record.item_id)
    for value in found.record:
        if isinstance(value, str):
            value.encode()
            assert "\0" not in value
    if isinstance(found.record, Review):
        assert found.record.rating in (1, 2, 3, 4, 5)
        assert datetime(1995, 1, 1, tzinfo=UTC) <= datetime.fromtimestamp(found.record.reviewed_at / 1e6, UTC)
        assert found.record.vote is None or 0 <= found.record.vote < 2**31
        assert isinstance(found.record.verified, bool | None)
    else:
        assert all(isinstance(name, str) and name for name in found.record.categories)


def written(record, format_):
    """The line of a format that says a record."""
    if isinstance(record, Item):
        return written_item(record, format_)
    fields = review_fields(record, format_)
    if format_.framing == CSV:
        return csv_record(*("" if fields.get(name) is None else fields[name] for name in COLUMNS[format_]))
    return LINES[format_](**fields)


def review_fields(review, format_):
    second = review.reviewed_at // 1_000_000
    if "2023" in format_.name:
        names = ("user_id", "parent_asin", "timestamp", "rating", "title", "text", "helpful_vote", "verified_purchase")
        return dict(zip(names, review._replace(reviewed_at=second * 1000), strict=True))
    vote = "vote"
    if "2014" in format_.name:
        vote, review = "helpful", review._replace(vote=None if review.vote is None else [review.vote, review.vote + 1])
    names = ("reviewerID", "asin", "unixReviewTime", "overall", "summary", "reviewText", vote, "verified")
    return dict(zip(names, review._replace(reviewed_at=second), strict=True))


def written_item(item, format_):
    fields = {"title": item.title, "price": item.price}
    pictures = [item.image_url] if item.image_url else []
    if format_ is amazon.ITEMS_2014:
        fields |= {"asin": item.item_id, "brand": item.brand, "categories": [item.categories], "imUrl": item.image_url}
        return item_2014(**fields, description=item.description)
    fields["description"] = [item.description] if item.description else []
    if format_ is amazon.ITEMS_2018:
        fields |= {"asin": item.item_id, "brand": item.brand, "category": item.categories, "imageURL": pictures}
    else:
        fields |= {"parent_asin": item.item_id, "store": item.brand, "categories": item.categories}
        fields["images"] = [{"large": url} for url in pictures]
    return LINES[format_](**fields)


@each
@given(review=REVIEWS, item=ITEMS)
@MANY
def test_what_a_shop_writes_is_read_back(format_, review, item):
    if format_ in (amazon.CSV_2014, amazon.CSV_2023):
        review = review._replace(verified=None)  # has no column there
    record = item if format_.kind == "items" else review
    found = outcome(written(record, format_), format_)
    assert isinstance(found, Accepted), found
    assert found.record == record


@each_of_lines
@given(data=st.data())
@MANY
def test_fields_that_hold_anything_are_accepted_or_rejected(format_, data):
    names = sorted(format_.decode(LINES[format_]())[0])
    junk = data.draw(st.dictionaries(st.sampled_from(names), JUNK, max_size=len(names)))
    require_known(outcome(LINES[format_](**junk), format_))


@pytest.mark.parametrize("format_", COLUMNS, ids=str)
@given(data=st.data())
@MANY
def test_columns_that_hold_any_text_are_accepted_or_rejected(format_, data):
    columns = COLUMNS[format_]
    texts = st.text(max_size=10) | st.sampled_from(["U1", "5", "1400000000", "1400000000000", "[1, 2]", "True"])
    fields = data.draw(st.lists(texts, min_size=len(columns) - 1, max_size=len(columns) + 1))
    require_known(outcome(csv_record(*fields), format_))


@each
@given(st.binary(max_size=80))
@MANY
def test_any_bytes_are_accepted_or_rejected(format_, content):
    require_known(outcome(content, format_))


@each
@given(data=st.data())
@MANY
def test_good_lines_with_bytes_changed_are_accepted_or_rejected(format_, data):
    line = bytearray(written(data.draw(ITEMS if format_.kind == "items" else REVIEWS), format_))
    for _ in range(data.draw(st.integers(1, 5))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    require_known(outcome(bytes(line), format_))
