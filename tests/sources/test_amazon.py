import pickle
from datetime import date

import pytest

from recpipe.sources import amazon, values
from recpipe.sources.formats import dated, parse
from recpipe.sources.records import Item, Reject, Review, decode_json
from tests.parsed import TODAY, notes, reason, record
from tests.raw_lines import item_2018, item_2023, review_2018, review_2023, seconds

REVIEWS_2018, REVIEWS_2023 = amazon.REVIEWS_2018, amazon.REVIEWS_2023
ITEMS_2018, ITEMS_2023 = amazon.ITEMS_2018, amazon.ITEMS_2023


def test_a17_a_review_of_2018():
    line = review_2018(
        reviewerID="A3",
        asin="B0",
        overall=4.0,
        unixReviewTime=1472688000,
        vote="1,234",
        summary="Five <b>Stars</b>",
        reviewText="<b>As advertised</b>",
        style={"Size:": " 7.0 oz"},
    )
    expected = Review("A3", "B0", 1472688000_000_000, 4.0, "Five Stars", "<b>As advertised</b>", 1234, True)
    assert record(line, REVIEWS_2018) == expected


def test_a17_a_review_of_2023_is_of_the_parent_item():
    line = review_2023(user_id="AE", parent_asin="P1", asin="V1", timestamp=1588687728923, helpful_vote=3)
    assert record(line, REVIEWS_2023) == Review("AE", "P1", 1588687728923_000, 5.0, "Fine", "Good.", 3, True)


def test_a17_an_item_of_2018():
    line = item_2018(
        category=["Kitchen", "Tea &amp; Mugs", ""],
        description=["One.", "", "<p>Two.</p>"],
        imageURL=["https://x/1.jpg"],
    )
    expected = Item("I1", "Mug", "Oldmill", ["Kitchen", "Tea & Mugs"], 12.99, "One.\nTwo.", "https://x/1.jpg")
    assert record(line, ITEMS_2018) == expected


def test_a17_an_item_of_2023():
    line = item_2023(images=[{"hi_res": None, "large": "https://x/l.jpg"}, {"hi_res": "https://x/h.jpg"}])
    assert record(line, ITEMS_2023) == Item(
        "I1", "Mug", "Oldmill", ["Kitchen", "Cups"], 12.99, "Holds tea.", "https://x/l.jpg"
    )


def test_e11_a_field_that_no_contract_knows_changes_nothing():
    for line, format_ in ((item_2023, ITEMS_2023), (review_2018, REVIEWS_2018), (review_2023, REVIEWS_2023)):
        assert record(line(style={"Size:": " 7.0 oz"}, new=[1]), format_) == record(line(), format_)


def test_a17_missing_text_is_null():
    assert record(b'{"parent_asin":"P1","title":"mug"}', ITEMS_2023) == Item("P1", "mug", None, [], None, None, None)
    bare = b'{"reviewerID":"U","asin":"I","overall":1,"unixReviewTime":1400000000}'
    assert record(bare, REVIEWS_2018) == Review("U", "I", 1400000000_000_000, 1.0, None, None, None, None)


@pytest.mark.parametrize("value", [None, ""])
def test_a17_a_missing_id_is_a_reason(value):
    assert reason(review_2018(reviewerID=value), REVIEWS_2018) == "missing_user"
    assert reason(review_2018(asin=value), REVIEWS_2018) == "missing_item"
    assert reason(review_2023(parent_asin=value), REVIEWS_2023) == "missing_item"
    assert reason(item_2023(parent_asin=value), ITEMS_2023) == "missing_item"


def test_fields_of_other_types_are_null_and_never_a_crash():
    for value in ({}, [[]], 7, True, "x", None, [None, 7, {}]):
        names = ("title", "brand", "category", "description", "imageURL", "imageURLHighRes", "price")
        assert record(item_2018(**dict.fromkeys(names, value)), ITEMS_2018).item_id == "I1"
        names = ("title", "store", "categories", "description", "images", "price")
        assert record(item_2023(**dict.fromkeys(names, value)), ITEMS_2023).item_id == "I1"
        names = ("title", "text", "helpful_vote", "verified_purchase")
        assert record(review_2023(**dict.fromkeys(names, value)), REVIEWS_2023).user_id == "U1"
        for name in ("user_id", "parent_asin", "timestamp", "rating"):
            if value != "x" or name not in ("user_id", "parent_asin"):
                assert isinstance(parse(review_2023(**{name: value}), REVIEWS_2023, decode_json, TODAY), Reject), (
                    name,
                    value,
                )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"<html>404</html>", "not_json"),
        (b'{"asin":"8"', "not_json"),
        (b"{'asin': 'A1'}", "not_json"),
        (b"[1]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"7", "not_an_object"),
        (b"null", "not_an_object"),
        (b"\x00\x01\x02", "not_json"),
        (b'{"asin":' + b"9" * 5000 + b"}", "not_json"),
    ],
)
def test_a_line_that_is_no_json_object_is_rejected(line, why):
    for format_ in (REVIEWS_2018, REVIEWS_2023, ITEMS_2018, ITEMS_2023):
        assert reason(line, format_) == why


def test_a_line_that_no_one_thought_of_is_rejected_too(monkeypatch):
    def surprised(_):
        raise OverflowError("too much")

    monkeypatch.setattr(values, "plain", surprised)
    assert reason(review_2018(), REVIEWS_2018) == "unreadable_overflowerror"


def test_a12_deep_nesting_is_rejected():
    line = b'{"asin":"1","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert reason(line, ITEMS_2018) == "nested_too_deeply"
    assert reason(b'{"a":' * 100_000, ITEMS_2018) == "nested_too_deeply"


def test_a13_bytes_that_are_no_utf8_are_replaced_and_counted():
    line = review_2018(reviewText="a?b").replace(b"a?b", b"a\xff\xfeb")
    assert record(line, REVIEWS_2018).text == "a\ufffd\ufffdb"
    assert notes(line, REVIEWS_2018) == ["replaced_bytes"]
    assert notes(review_2018(reviewText="schön 🙂"), REVIEWS_2018) == []


def test_a13_half_pairs_are_replaced_and_nul_is_removed():
    assert record(review_2018(reviewText="a\ud800b"), REVIEWS_2018).text == "a\ufffdb"
    assert record(review_2018(reviewText="a\0b", summary="c\0d"), REVIEWS_2018)[4:6] == ("cd", "ab")
    assert record(review_2018(reviewText="a?b").replace(b"a?b", b"a\0b"), REVIEWS_2018).text == "ab"


@pytest.mark.parametrize("bad", [b"U\xff", b"U\\ud800", b"U\\u0000", b"U\x00"])
def test_a13_ids_with_such_characters_are_rejected(bad):
    assert reason(review_2018(reviewerID="U?").replace(b"U?", bad), REVIEWS_2018) == "bad_user"
    assert reason(review_2018(asin="U?").replace(b"U?", bad), REVIEWS_2018) == "bad_item"


def test_a_byte_order_mark_does_not_matter():
    assert record(b"\xef\xbb\xbf" + item_2018(), ITEMS_2018) == record(item_2018(), ITEMS_2018)
    assert notes(b"\xef\xbb\xbf" + item_2018(), ITEMS_2018) == []


def test_a18_titles_are_names():
    assert record(item_2018(title="<span id=x>Tea &amp; mug</span>"), ITEMS_2018).title == "Tea & mug"


def test_b01_a_vote_that_cannot_be_read_is_null_and_counted():
    for vote, read in (("1,234", 1234), ("7", 7), (None, None), ("", None)):
        assert record(review_2018(vote=vote), REVIEWS_2018).vote == read
        assert notes(review_2018(vote=vote), REVIEWS_2018) == []
    assert record(review_2018(vote="1,23"), REVIEWS_2018).vote is None
    assert notes(review_2018(vote="1,23"), REVIEWS_2018) == ["unreadable_vote"]


def test_b02_a_price_that_cannot_be_read_is_null_and_counted():
    for price in ("$5.00 - $9.99", "from 14.99", "\n\n<script"):
        assert record(item_2018(price=price), ITEMS_2018).price is None
        assert notes(item_2018(price=price), ITEMS_2018) == ["unreadable_price"]
    for price in ("", "None", None, "\n \t"):
        assert (record(item_2018(price=price), ITEMS_2018).price, notes(item_2018(price=price), ITEMS_2018)) == (
            None,
            [],
        )


@pytest.mark.parametrize("stars", [1, 2.0, "5.0", "5", " 4 "])
def test_b03_ratings_may_be_text(stars):
    assert record(review_2018(overall=stars), REVIEWS_2018).rating == float(stars)
    assert record(review_2023(rating=stars), REVIEWS_2023).rating == float(stars)


@pytest.mark.parametrize("stars", [float("nan"), float("inf"), 0, 6, 4.5, "4.5", -1, True, "five", [5], 10**400])
def test_b03_ratings_off_the_scale_are_rejected(stars):
    assert reason(review_2018(overall=stars), REVIEWS_2018) == "bad_rating"
    assert reason(review_2023(rating=stars), REVIEWS_2023) == "bad_rating"


def test_b03_no_rating_is_a_reason_of_its_own():
    for nothing in (None, ""):
        assert reason(review_2018(overall=nothing), REVIEWS_2018) == "missing_rating"


def test_c01_the_unit_of_dates_is_the_formats():
    assert record(review_2018(unixReviewTime=1400000000), REVIEWS_2018).reviewed_at == 1400000000_000_000
    assert record(review_2023(timestamp=1400000000000), REVIEWS_2023).reviewed_at == 1400000000_000_000
    assert record(review_2023(timestamp=1400000000000.0), REVIEWS_2023).reviewed_at == 1400000000_000_000


def test_c01_the_other_unit_is_rejected_and_told():
    after = parse(review_2018(unixReviewTime=1400000000000), REVIEWS_2018, decode_json, TODAY)
    before = parse(review_2023(timestamp=1400000000), REVIEWS_2023, decode_json, TODAY)
    assert (after, before) == (Reject("dated_after_arrival", True), Reject("dated_before_1995", True))


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (seconds("1995-01-01") - 1, "dated_before_1995"),
        (-1, "dated_before_1995"),
        (seconds("2024-03-02"), "dated_after_arrival"),
        (10**400, "dated_after_arrival"),
        (1e308, "dated_after_arrival"),
        (float("nan"), "bad_date"),
        ("yesterday", "bad_date"),
        (True, "bad_date"),
        ([1], "bad_date"),
    ],
)
def test_c01_a_date_that_cannot_be_is_rejected(at, why):
    assert parse(review_2018(unixReviewTime=at), REVIEWS_2018, decode_json, TODAY) == Reject(why)


def test_c01_the_first_and_the_last_moment_are_accepted():
    for at in (seconds("1995-01-01"), seconds("2024-03-02") - 1):
        assert record(review_2018(unixReviewTime=at), REVIEWS_2018).reviewed_at == at * 1_000_000


def test_a_2018_review_without_seconds_is_dated_by_its_day():
    line = review_2018(unixReviewTime=None, reviewTime="09 1, 2016")
    assert record(line, REVIEWS_2018).reviewed_at == seconds("2016-09-01") * 1_000_000
    for text, why in (("13 1, 2016", "bad_date"), ("soon", "bad_date"), (7, "bad_date"), (None, "missing_date")):
        assert reason(review_2018(unixReviewTime=None, reviewTime=text), REVIEWS_2018) == why
    assert reason(review_2023(timestamp=None, reviewTime="09 1, 2016"), REVIEWS_2023) == "missing_date"


def test_the_day_of_a_review_is_its_utc_day():
    late = review_2023(timestamp=(seconds("2024-01-02") - 1) * 1000)
    assert dated(late, REVIEWS_2023, decode_json) == date(2024, 1, 1)
    assert dated(item_2018(), ITEMS_2018, decode_json) is None
    for at in (None, "soon", 1400000000000, -1, 1e308, -1e308):
        assert dated(review_2018(unixReviewTime=at, reviewTime=None), REVIEWS_2018, decode_json) is None
    assert dated(b"{", REVIEWS_2018, decode_json) is None


def test_c01_milliseconds_of_2023_are_ints_or_floats_and_what_has_no_column_is_passed_over():
    for at in (1588687728923, 1588687728923.0, "1588687728923"):
        line = review_2023(timestamp=at, images=[{"small_image_url": "http://x"}], videos=[], details={"a": 1})
        assert record(line, REVIEWS_2023).reviewed_at == 1588687728923_000
        assert notes(line, REVIEWS_2023) == []
    line = item_2023(videos={"title": [], "url": []}, details={"Brand": "x"}, features=["a"], bought_together=None)
    assert (record(line, ITEMS_2023), notes(line, ITEMS_2023)) == (record(item_2023(), ITEMS_2023), [])


def test_a17_formats_can_be_sent_to_another_process():
    for format_ in amazon.FORMATS:
        assert pickle.loads(pickle.dumps(format_))[:2] == format_[:2]


@pytest.mark.parametrize(
    ("fields", "read", "said"),
    [
        ({"title": 1984}, {"title": "1984"}, []),
        ({"brand": 7}, {"brand": "7"}, []),
        ({"brand": ["Oldmill"]}, {"brand": None}, ["unreadable_brand"]),
        ({"category": "Books"}, {"categories": ["Books"]}, []),
        ({"category": [1, 2, {"a": 1}]}, {"categories": ["1", "2"]}, ["unreadable_category"]),
        ({"imageURL": "//a.b/c.jpg"}, {"image_url": "https://a.b/c.jpg"}, []),
        ({"imageURL": ["//", "data:x"]}, {"image_url": None}, ["unreadable_image_url"]),
        ({"description": {"a": "b"}}, {"description": None}, ["unreadable_description"]),
        ({"title": None, "brand": [], "category": "", "imageURL": "", "description": {}}, {"description": None}, []),
    ],
)
def test_a_value_of_an_item_that_cannot_be_read_is_noted(fields, read, said):
    found = record(item_2018(**fields), ITEMS_2018)._asdict()
    assert {name: found[name] for name in read} == read
    assert notes(item_2018(**fields), ITEMS_2018) == said


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("verified", "Y", ["unreadable_verified"]),
        ("verified", "", []),
        ("summary", 12, []),
        ("summary", 1.5, ["unreadable_summary"]),
        ("reviewText", ["Good."], ["unreadable_reviewText"]),
        ("reviewText", None, []),
    ],
)
def test_a_value_of_a_review_that_cannot_be_read_is_noted(field, value, said):
    assert notes(review_2018(**{field: value}), REVIEWS_2018) == said


def test_pictures_of_2023_may_be_addresses_themselves():
    assert record(item_2023(images=["https://a.b/c.jpg"]), ITEMS_2023).image_url == "https://a.b/c.jpg"
    assert notes(item_2023(images=[7]), ITEMS_2023) == ["unreadable_image_url"]
