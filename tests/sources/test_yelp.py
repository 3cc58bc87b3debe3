import json
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recpipe.errors import UserError
from recpipe.settings import CHECKOUT
from recpipe.sources import yelp
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import LINES, Layout, dated, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.records import Accepted, Item, Reject, RejectError, Review, decode_json
from recpipe.sources.values import clean
from recpipe.sources.yelp import ITEMS, REVIEWS
from tests.raw_lines import item_2023, review_2023, seconds, write_lines

TODAY = date(2024, 3, 1)
REAL = CHECKOUT.parent / "shared" / "data" / "yelp_raw"
needs_real_files = pytest.mark.skipif(not REAL.exists(), reason=f"needs the real files in {REAL}")


def review(**fields):
    line = {"review_id": "R1", "user_id": "-U1", "business_id": "B1", "stars": 4.0, "useful": 3, "funny": 1, "cool": 0}
    line |= {"text": "Good.", "date": "2016-03-09 22:09:11"}
    return json.dumps({**line, **fields}).encode()


def business(**fields):
    line = {"business_id": "B1", "name": "Oldmill", "address": "1 Mill Lane", "city": "Tempe", "state": "AZ"}
    line |= {"stars": 4.5, "review_count": 7, "is_open": 1, "categories": "Tea Rooms, Food", "hours": None}
    return json.dumps({**line, **fields}).encode()


def outcome(line, format_):
    return parse(line, format_, decode_json, TODAY)


def record(line, format_):
    found = outcome(line, format_)
    assert isinstance(found, Accepted), found
    assert found.notes == []
    return found.record


def test_a_review():
    at = (seconds("2016-03-09") + 22 * 3600 + 9 * 60 + 11) * 1_000_000
    assert record(review(), REVIEWS) == Review("-U1", "B1", at, 4.0, None, "Good.", 3, None)


def test_an_older_review_has_a_day_and_its_votes_in_an_object():
    line = review(date="2013-05-06", useful=None, votes={"useful": 2, "funny": 0}, type="review")
    assert record(line, REVIEWS)[2:] == (seconds("2013-05-06") * 1_000_000, 4.0, None, "Good.", 2, None)


def test_a_business_is_an_item_without_brand_price_or_picture():
    assert record(business(), ITEMS) == Item("B1", "Oldmill", None, ["Tea Rooms", "Food"], None, None, None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["Tea Rooms", "Food"], ["Tea Rooms", "Food"]),
        ("Food", ["Food"]),
        ("Food, Beer, Wine & Spirits, Bars", ["Food", "Beer, Wine & Spirits", "Bars"]),
        ("Books, Mags, Music & Video,Shopping", ["Books, Mags, Music & Video", "Shopping"]),
        ("Books, Mags", ["Books", "Mags"]),
        ("Beer, Wine & Spirits Shops", ["Beer", "Wine & Spirits Shops"]),
        (" , ,", []),
        ("", []),
        (None, []),
        (7, ["7"]),
        ([7, None, "Food"], ["7", "Food"]),
    ],
)
def test_b05_categories_are_a_text_with_commas_or_a_list(written, read):
    assert record(business(categories=written), ITEMS).categories == read


def test_categories_and_names_that_cannot_be_read_are_noted():
    line = business(categories=[{"a": 1}, "Food"], name=["Cafe"])
    assert outcome(line, ITEMS).notes == ["unreadable_name", "unreadable_categories"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"user_id": None}, "missing_user"),
        ({"business_id": ""}, "missing_item"),
        ({"user_id": 7}, "bad_user"),
        ({"business_id": "B\ud800"}, "bad_item"),
        ({"stars": 4.5}, "bad_rating"),
        ({"stars": 0}, "bad_rating"),
        ({"stars": None}, "missing_rating"),
        ({"date": None}, "missing_date"),
        ({"date": "soon"}, "bad_date"),
        ({"date": 1400000000}, "bad_date"),
        ({"date": "1994-12-31"}, "dated_before_1995"),
        ({"date": "2024-03-02 00:00:00"}, "dated_after_arrival"),
    ],
)
def test_a_review_that_cannot_be_is_rejected_with_its_reason(fields, why):
    assert outcome(review(**fields), REVIEWS) == Reject(why)


def test_c02_the_day_of_a_review_is_its_utc_day():
    assert dated(review(date="2016-03-09 23:59:59"), REVIEWS, decode_json) == date(2016, 3, 9)
    assert dated(business(), ITEMS, decode_json) is None


def test_a_vote_that_cannot_be_read_is_null_and_counted():
    found = outcome(review(useful="many"), REVIEWS)
    assert (found.record.vote, found.notes) == (None, ["unreadable_useful"])


@pytest.mark.parametrize(("line", "format_"), [(review(), REVIEWS), (business(), ITEMS)])
def test_a17_the_format_is_told_by_the_fields(tmp_path, line, format_):
    assert layout_of(write_lines(tmp_path / "x", line), FORMATS) == Layout(format_, LINES)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(
            {"business_id": "B1", "user_id": "U1", "text": "Try the tea.", "date": "2013-05-06"}
        ).encode(),  # tip
        json.dumps({"user_id": "U1", "name": "Ann", "review_count": 7}).encode(),
        json.dumps({"business_id": "B1", "date": "2013-05-06 10:00:00, 2014-05-06 10:00:00"}).encode(),  # check-ins
        review_2023(),
        item_2023(),
    ],
)
def test_a17_other_files_are_neither(tmp_path, line):
    with pytest.raises(UserError, match="at its start"):
        layout_of(write_lines(tmp_path / "x", line), yelp.FORMATS)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.just("useful"), SCALARS)
NAMES = ("user_id", "business_id", "stars", "useful", "votes", "text", "date", "name", "categories")


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_no_fields_raise_anything_but_a_reject(fields):
    for line, format_ in ((review(**fields), REVIEWS), (business(**fields), ITEMS)):
        try:
            decoded, notes = decode_json(line)
            format_.is_like(decoded)
            format_.record(decoded, notes, TODAY)
        except RejectError:
            pass


@given(
    st.text(min_size=1),
    st.integers(1, 5),
    st.integers(0, 1000),
    st.integers(seconds("2004-01-01"), seconds("2024-03-01")),
)
def test_a_review_that_is_written_is_read_back(text, stars, useful, at):
    written = review(text=text, stars=stars, useful=useful, date=f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}")
    assert record(written, REVIEWS) == Review(
        "-U1", "B1", at * 1_000_000, stars, None, clean(text) or None, useful, None
    )


def read(path, format_):
    layout = layout_of(path, FORMATS)
    assert layout == Layout(format_, LINES)
    return Counter(
        found.reason if isinstance(found := outcome(line.content, format_), Reject) else (line.ended, *found.notes)
        for line in records_of(path, layout)
    )


@needs_real_files
def test_every_line_of_the_real_files_is_accepted_but_the_broken_one():
    assert read(REAL / "yelp_academic_dataset_review.sample500.json", REVIEWS) == {(True,): 500}
    assert read(REAL / "yelp_academic_dataset_review.sample3610.json.gz", REVIEWS) == {(True,): 3610, "not_json": 1}
