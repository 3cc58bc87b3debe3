import ast
import json

import pytest

from recpipe.sources.amazon import ITEMS_2014, REVIEWS_2014
from recpipe.sources.files import layout_of, records_of
from recpipe.sources.formats import LINES, Layout, parse
from recpipe.sources.known import FORMATS
from recpipe.sources.records import Item, Reject, Review
from tests.parsed import TODAY, notes, reason, record
from tests.raw_lines import item_2014, review_2014, write_lines


def test_a17_a_review_of_2014():
    line = review_2014(helpful=[13, 14], summary="Fine &amp; dandy", unixReviewTime=1393545600)
    expected = Review("U1", "I1", 1393545600_000_000, 5.0, "Fine & dandy", "Good.", 13, None)
    assert record(line, REVIEWS_2014) == expected
    assert record(repr(json.loads(line)).encode(), REVIEWS_2014) == expected
    assert notes(line, REVIEWS_2014) == []


@pytest.mark.parametrize("helpful", [[], [1], [1, 2, 3], ["x", 2], {}, 7, "[1]", "[1, 2", "[-1, 2]", [[1], 2], True])
def test_b01_a_vote_of_2014_that_is_no_pair_of_numbers_is_null_and_counted(helpful):
    assert record(review_2014(helpful=helpful), REVIEWS_2014).vote is None
    assert notes(review_2014(helpful=helpful), REVIEWS_2014) == ["unreadable_helpful"]


def test_a01_an_item_of_2014_is_a_literal_or_json():
    line = item_2014(
        title="<b>Mug</b>",
        categories=[["Kitchen", "Cups", "Kitchen", ""], ["Gifts"]],
        description="<p>Holds</p> tea.",
    )
    expected = Item("I1", "Mug", "Oldmill", ["Kitchen", "Cups"], 12.99, "Holds tea.", "http://x/1.jpg")
    assert (record(line, ITEMS_2014), notes(line, ITEMS_2014)) == (expected, ["read_as_literal"])
    as_json = json.dumps(ast.literal_eval(line.decode())).encode()
    assert (record(as_json, ITEMS_2014), notes(as_json, ITEMS_2014)) == (expected, [])


def test_a01_a_bare_item_of_2014():
    assert record(b"{'asin': 'A1', 'title': 'mug'}", ITEMS_2014) == Item("A1", "mug", None, [], None, None, None)


@pytest.mark.parametrize(
    ("categories", "path"),
    [
        ([["A", "B"], ["C"]], ["A", "B"]),
        ([[], ["C"]], ["C"]),
        ([[None, 7, "A", "A &amp; B", "A & B"]], ["7", "A", "A & B"]),
        ([[]], []),
        (["A", "B"], ["A", "B"]),
    ],
)
def test_b05_the_first_path_of_categories_is_the_items(categories, path):
    assert record(item_2014(categories=categories), ITEMS_2014).categories == path


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (b"{'asin':'A2','title':None}", Item("A2", None, None, [], None, None, None)),
        (b"{'asin':'A3','title':u'x'}", Item("A3", "x", None, [], None, None, None)),
        (rb"{'asin':'A4','title':'caf\xe9'}", Item("A4", "café", None, [], None, None, None)),
        (b"{'asin':'A5','title':'a' 'b'}", Item("A5", "ab", None, [], None, None, None)),
    ],
)
def test_a02_no_literal_is_half_read(line, item):
    assert record(line, ITEMS_2014) == item


def test_a03_a_line_that_would_run_code_is_rejected(tmp_path):
    ran = tmp_path / "ran"
    assert reason(f'__import__("os").system("touch {ran}")'.encode(), ITEMS_2014) == "not_a_literal"
    assert not ran.exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{'asin': b'A1'}", "not_a_literal"),
        (b"{'asin': 'A1', 'x': {1, 2}}", "not_a_literal"),
        (b"[" * 3000, "nested_too_deeply"),
        (b"{'asin': 'A1', 'x': " + b"[" * 5000 + b"]" * 5000 + b"}", "nested_too_deeply"),
        (b"{'n': " + b"9" * 5000 + b"}", "not_a_literal"),
        (b"{'asin':'A1','quesV ?', 'x': 1}", "not_a_literal"),
        (b"['A1']", "not_an_object"),
        (rb"{'asin': 'U\x00'}", "bad_item"),
        (rb"{'asin': 'U\ud800'}", "bad_item"),
        (b"{'asin': 'U\xff'}", "bad_item"),
        (b"{'asin': 7}", "bad_item"),
        (b"{'title': 'mug'}", "missing_item"),
    ],
)
def test_a04_a_literal_that_is_no_item_is_rejected(line, why):
    assert reason(line, ITEMS_2014) == why


def test_an_item_of_2014_that_was_never_seen_so_is_no_crash():
    for value in ({}, [[]], 7, True, "x", None, [None, 7, {}], [[{}]], "1" * 5000):
        names = ("title", "brand", "categories", "description", "imUrl", "price", "related", "salesRank")
        assert record(item_2014(**dict.fromkeys(names, value)), ITEMS_2014).item_id == "I1"


def test_a05_a_broken_line_costs_no_other(tmp_path):
    broken = b"{'asin':'A1','quesV ?', 'x': 1}"
    path = write_lines(tmp_path / "meta.json", item_2014(), broken, item_2014(asin="I2"))
    layout = layout_of(path, FORMATS)
    assert layout == Layout(ITEMS_2014, LINES)
    decode = layout.decoder()
    outcomes = {line.number: parse(line.content, ITEMS_2014, decode, TODAY) for line in records_of(path, layout)}
    assert outcomes.pop(2) == Reject("not_a_literal")
    assert [outcome.record.item_id for outcome in outcomes.values()] == ["I1", "I2"]
    assert list(outcomes) == [1, 3]
