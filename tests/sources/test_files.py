import json

import pytest

from recpipe.errors import UserError
from recpipe.sources import amazon
from recpipe.sources.files import hashed, layout_of, records_of
from recpipe.sources.formats import LINES, Layout
from recpipe.sources.known import FORMATS
from tests.raw_lines import item_2018, item_2023, review_2018, review_2023, write_lines


@pytest.fixture
def told(tmp_path):
    def told_by(*lines):
        return layout_of(write_lines(tmp_path / "x.json", *lines), FORMATS)

    return told_by


@pytest.mark.parametrize(
    ("line", "format_"),
    [
        (review_2018(), amazon.REVIEWS_2018),
        (review_2023(), amazon.REVIEWS_2023),
        (item_2018(), amazon.ITEMS_2018),
        (item_2023(), amazon.ITEMS_2023),
        (b'{"parent_asin":"P1","title":"mug"}', amazon.ITEMS_2023),
        (b'{"asin":"A1"}', amazon.ITEMS_2018),
    ],
)
def test_a17_the_format_is_told_by_the_fields(told, line, format_):
    assert told(line) == Layout(format_, LINES)
    assert told(b'{"asin":', line, b"{}", line) == Layout(format_, LINES)


def test_a17_most_lines_decide(told):
    assert told(item_2018(), review_2018(), review_2018()).format == amazon.REVIEWS_2018


@pytest.mark.parametrize("page", [b"<html>404</html>", b"user,item\n1,2", b"PK\x03\x04", b"[{}]"])
def test_a10_a_file_that_starts_with_something_else_is_refused(told, page):
    with pytest.raises(UserError, match=r"expected reviews \(amazon-2018\) or .* in .*x\.json, found b.* at its start"):
        told(page, review_2018())


def test_a10_json_of_another_shop_is_refused(told):
    other = json.dumps({"id": "1", "who": "u", "what": "b", "grade": 5}).encode()
    for line in (other, b"{}", b'{"x":'):
        with pytest.raises(UserError, match="at its start"):
            told(line)


def test_a09_no_lines_have_no_format(told):
    assert told() is None
    assert told(b"", b"  ") is None


def test_a_large_plain_file_is_read_in_spans_that_together_are_the_file(tmp_path):
    lines = [b"%d" % place * (1 + place % 7) for place in range(300_000)]
    path = write_lines(tmp_path / "x", *lines)
    whole = hashed(path)
    assert len(whole.spans) == 1
    split = hashed(path, span_bytes=2**20)
    assert len(split.spans) > 2
    assert split.sha256 == whole.sha256
    layout = Layout(amazon.REVIEWS_2018, LINES)
    found = [(line.number, line.content) for span in split.spans for line in records_of(path, layout, span)]
    assert found == [(line.number, line.content) for line in records_of(path, layout)]
    assert len(found) == 300_000


def test_a_file_whose_last_line_does_not_end_is_split_too(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a" * 2**20 + b"\n" + b"b" * 2**20 + b"\nc")
    layout = Layout(amazon.REVIEWS_2018, LINES)
    spans = hashed(path, span_bytes=2**19).spans
    assert [(line.number, line.content[:1]) for span in spans for line in records_of(path, layout, span)] == [
        (1, b"a"),
        (2, b"b"),
        (3, b"c"),
    ]
