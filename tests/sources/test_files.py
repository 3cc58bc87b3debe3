import json
import tracemalloc

import pytest

from recpipe.errors import UserError
from recpipe.sources import amazon
from recpipe.sources.files import hashed, layout_of, records_of
from recpipe.sources.formats import CSV, LINES, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import MAX_LINE
from tests.raw_lines import item_2014, item_2018, item_2023, review_2014, review_2018, review_2023, write_lines


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


HEADER_2018 = b"reviewerID,asin,overall,unixReviewTime,verified"
RATINGS = ("user", "item", "rating", "timestamp")


@pytest.mark.parametrize(
    ("header", "format_"),
    [
        (HEADER_2018, amazon.CSV_2018),
        (b"\xef\xbb\xbf" + HEADER_2018.replace(b",", b" , "), amazon.CSV_2018),
        (b'"reviewerID","asin","overall","unixReviewTime","helpful"', amazon.CSV_2014),
        (b"asin,reviewerID,overall,reviewTime,vote", amazon.CSV_2018),
        (b"user_id,parent_asin,rating,timestamp,history", amazon.CSV_2023),
        (b"item,user,rating,timestamp", amazon.CSV_2014),
    ],
)
def test_a17_a_csv_file_is_told_by_its_header(told, header, format_):
    names = header.decode("utf-8-sig").replace('"', "").replace(" ", "").split(",")
    assert told(header, b"1,2,3,4,5") == Layout(format_, CSV, tuple(names), has_header=True)


@pytest.mark.parametrize(
    "header",
    [
        b"userId,movieId,stars",
        b"reviewerID,asin,overall",
        b'"reviewerID,asin',
    ],
)
def test_a10_another_header_is_refused(told, header):
    with pytest.raises(UserError, match="at its start"):
        told(header, b"1,2,3,4,5")


def test_a_header_that_names_a_column_twice_is_refused(told):
    with pytest.raises(UserError, match=r"expected one column asin in .*, found 2"):
        told(b"reviewerID,asin,overall,reviewTime,asin", b"1,2,3,4,5")


def test_a_header_is_no_record_and_records_have_the_number_of_their_first_line(tmp_path):
    path = write_lines(tmp_path / "x.csv", b"", HEADER_2018, b'U1,I1,5,"14', b'00",True', b" ", b"U2,I2,4,1400000000,x")
    layout = layout_of(path, [amazon.CSV_2018])
    assert [(line.number, line.content) for line in records_of(path, layout)] == [
        (3, b'U1,I1,5,"14\n00",True'),
        (6, b"U2,I2,4,1400000000,x"),
    ]


def test_a_header_that_is_too_long_is_no_record_either(tmp_path):
    path = write_lines(tmp_path / "x.csv", b"asin" * (MAX_LINE // 2), b"U1,I1,5,1400000000")
    layout = Layout(amazon.CSV_2014, CSV, RATINGS, has_header=True)
    assert [line.number for line in records_of(path, layout)] == [2]


def test_a_csv_file_without_a_header_has_the_columns_that_are_named(tmp_path):
    path = write_lines(tmp_path / "x.csv", b"U1,I1,5,1400000000", b"U2,I2,4,1400000000")
    layout = layout_of(path, [amazon.CSV_2014], RATINGS)
    assert layout == Layout(amazon.CSV_2014, CSV, RATINGS, has_header=False)
    assert [line.number for line in records_of(path, layout)] == [1, 2]
    assert layout.decoder()(b"U1,I1,5,1400000000")[0]["item"] == "I1"


def test_columns_that_no_format_has_or_no_record_fits_are_refused(tmp_path):
    path = write_lines(tmp_path / "x.csv", b"U1,I1,5,1400000000")
    with pytest.raises(UserError, match=r"found no CSV format with columns user, stars; name others"):
        layout_of(path, FORMATS, ("user", "stars"))
    for page in (path, write_lines(tmp_path / "page.csv", b"<html>404</html>")):
        with pytest.raises(UserError, match=r"found no record of 5 fields; name the columns that it has"):
            layout_of(page, FORMATS, (*RATINGS, "more"))


def test_a16_a_csv_file_that_was_cut_ends_in_a_record_without_an_end(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(HEADER_2018 + b"\nU1,I1,5,1400000000,True\nU2,I2,5,14000")
    assert [line.ended for line in records_of(path, layout_of(path, FORMATS))] == [True, False]


@pytest.mark.parametrize(
    ("line", "format_"),
    [
        (review_2014(), amazon.REVIEWS_2014),
        (repr(json.loads(review_2014())).encode(), amazon.REVIEWS_2014),
        (item_2014(), amazon.ITEMS_2014),
        (b'{"asin": "A1", "categories": [["A"]]}', amazon.ITEMS_2014),
        (b'{"asin": "A1", "imUrl": "http://x"}', amazon.ITEMS_2014),
        (b"{'asin': 'A1', 'title': 'mug'}", amazon.ITEMS_2014),
        (b'{"asin": "A1", "title": "mug"}', amazon.ITEMS_2018),
    ],
)
def test_a17_the_release_of_2014_is_told_from_that_of_2018(told, line, format_):
    assert told(line) == Layout(format_, LINES)


def test_a01_bare_lines_among_others_do_not_matter(told):
    bare = b'{"asin": "A1", "title": "mug"}'
    assert told(bare, bare, b'{"asin": "A1", "salesRank": {}}').format == amazon.ITEMS_2014
    assert told(bare, b"{'asin': 'A1'}").format == amazon.ITEMS_2014
    assert told(bare, bare, item_2018()).format == amazon.ITEMS_2018


def test_a11_a_file_is_told_by_its_first_lines_without_holding_many_long_ones(tmp_path):
    long = item_2018(description=["x" * (MAX_LINE // 2)])
    path = write_lines(tmp_path / "x.json.gz", *[long] * 20, zipped=True)
    tracemalloc.start()
    try:
        assert layout_of(path, FORMATS) == Layout(amazon.ITEMS_2018, LINES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * MAX_LINE
