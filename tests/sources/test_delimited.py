import csv
import gzip
import io
import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recpipe.sources import delimited
from recpipe.sources.delimited import MAX_RECORD, csv_decoder, csv_parts, split_decoder
from recpipe.sources.lines import MAX_LINE, lines_of
from recpipe.sources.records import RejectError

BOM = "\ufeff"
NOT_CSV, WRONG_NUMBER = "not_csv", "wrong_number_of_fields"


def outcome(content, columns, delimiter=",", encoding="utf-8"):
    try:
        return tuple(csv_decoder(columns, delimiter, encoding)(content)[0].values())
    except RejectError as error:
        return error.reject.reason


@pytest.fixture
def cut(tmp_path):
    """Number and content of each record of a file, without line ends."""

    def cut_by(content, delimiter=","):
        path = tmp_path / "x.csv"
        path.write_bytes(content)
        return [(line.number, line.content) for line in lines_of(csv_parts(path, delimiter))]

    return cut_by


@pytest.fixture
def read(cut):
    """Number and fields, or the reason for a reject, of each record of a file with three columns."""

    def read_by(content, delimiter=","):
        return [(number, outcome(line, "abc", delimiter)) for number, line in cut(content, delimiter)]

    return read_by


def test_a_line_is_a_record_and_blank_ones_are_none(read):
    assert read(b"1,2,3\n\n \t\n4,5,6\n,,\n7,8,9") == [
        (1, ("1", "2", "3")),
        (4, ("4", "5", "6")),
        (5, ("", "", "")),
        (6, ("7", "8", "9")),
    ]
    assert read(b"") == read(b"\n\r\n") == []


def test_quotes_hold_line_ends_delimiters_quotes_and_blank_lines(read):
    assert read(b'"a\nb",2,3\n"c\n\n \n,""d""",",",""\nx,"y\n","z"\n') == [
        (1, ("a\nb", "2", "3")),
        (3, ('c\n\n \n,"d"', ",", "")),
        (7, ("x", "y\n", "z")),
    ]


def test_line_ends_of_windows_are_line_ends(read):
    assert read(b'1,2,"3"\r\n\r\n"a\r\nb","c""\r\n",d\r\n') == [
        (1, ("1", "2", "3")),
        (3, ("a\r\nb", 'c"\r\n', "d")),
    ]


def test_a_quote_inside_a_field_is_text(read):
    assert read(b'5" pipe,2,it"s\n4,5," 6"\n7, "8,9\n') == [
        (1, ('5" pipe', "2", 'it"s')),
        (2, ("4", "5", " 6")),
        (3, ("7", ' "8', "9")),
    ]


def test_other_delimiters_delimit(read):
    assert read(b'1\t"2\n\t"\t3,"\n', delimiter="\t") == [(1, ("1", "2\n\t", '3,"'))]
    assert read(b"1;2,5;3\n", delimiter=";") == [(1, ("1", "2,5", "3"))]
    assert read('1¦"2\n2"¦3\n'.encode(), delimiter="¦") == [(1, ("1", "2\n2", "3"))]
    assert read('1¦"2"¦"3\n3"\n4¦5¦6\n'.encode(), delimiter="¦") == [(1, ("1", "2", "3\n3")), (3, ("4", "5", "6"))]


def test_a_byte_order_mark_before_a_quote_does_not_matter(read):
    assert read(b'\xef\xbb\xbf"a\nb",2,3\n') == [(1, ("a\nb", "2", "3"))]


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"4,5,6\n7,8,9\n", id="no quotes"),
        pytest.param(b'4,"5",6\n7,8,"9"\n', id="quotes"),
        pytest.param(b'"4","5","6"\n"7","8","9"\n', id="everything quoted"),
        pytest.param(b'4,"5\n5",6\n7,8,9\n', id="line ends in quotes"),
        pytest.param(b'4,"",6\n7,"8",9\n', id="empty quotes"),
        pytest.param(b"4,5,6\n" + b"7,8,9\n" * 190_000, id="more than is read ahead"),
        pytest.param(b'4,5,6\n7,"' + b"8" * (MAX_LINE + 1) + b'",9\n', id="a line that is too long"),
    ],
)
def test_an_open_quote_takes_no_record_along(read, behind):
    start = b'1,2,3\n1,"two,3\n'
    found = read(start + behind)
    assert found[:2] == [(1, ("1", "2", "3")), (2, NOT_CSV)]
    alone = read(behind)
    assert len(alone) >= 2
    assert found[2:] == [(number + 2, fields) for number, fields in alone]


def test_text_behind_a_closing_quote_costs_its_line_alone(read):
    assert read(b'"1"x,"2,3\n4,5,6\n"7\n7"x,8,9\n1,"2",3\n') == [
        (1, NOT_CSV),
        (2, ("4", "5", "6")),
        (3, NOT_CSV),
        (4, ('7"x', "8", "9")),
        (5, ("1", "2", "3")),
    ]


def test_a_line_that_can_be_in_no_quote_stops_every_open_quote_before_it(read):
    assert read(b'1,"x,3\na",b,"c\n7,"8",9\n4,5",6\n') == [
        (1, NOT_CSV),
        (2, NOT_CSV),
        (3, ("7", "8", "9")),
        (4, ("4", '5"', "6")),
    ]


def test_a_record_over_lines_may_have_a_certain_size_and_no_more(read):
    start, end = b'1,"2\n', b'",3\n4,5,6\n'
    text = b"x" * 99 + b"\n"
    fits = text * ((MAX_RECORD - len(start)) // len(text) - 1)
    [(_, fields), last] = read(start + fits + end)
    assert (len(fields[1]), last[1]) == (len(fits) + 2, ("4", "5", "6"))
    found = read(start + text * (MAX_RECORD // len(text) + 1) + end)
    assert found[0] == (1, NOT_CSV)
    assert len(found) == MAX_RECORD // len(text) + 4
    assert found[-1][1] == ("4", "5", "6")


def test_a11_a_line_that_is_too_long_is_one_record(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'1,"2\n' + b'x",' * (MAX_LINE // 2) + b"\n4,5,6\n")
    lines = list(lines_of(csv_parts(path, ",")))
    assert [(line.number, line.too_long) for line in lines] == [(1, False), (2, True), (3, False)]


def test_a_wrong_number_of_fields_is_a_reason(read):
    assert read(b"1,2\n1,2,3,4\n1,2,3\n") == [(1, WRONG_NUMBER), (2, WRONG_NUMBER), (3, ("1", "2", "3"))]


@pytest.mark.parametrize("content", [b'"1', b'"1"x', b"a\rb", b"1,\r2"])
def test_what_is_no_csv_is_rejected(content):
    assert outcome(content, ["a"]) == NOT_CSV


def test_a13_other_encodings_are_decoded_and_lost_bytes_are_noted():
    assert outcome("Amélie,1".encode("latin-1"), "ab", encoding="latin-1") == ("Amélie", "1")
    fields, notes = csv_decoder("ab", ",", "utf-8")(b"Am\xe9lie,a\0b")
    assert (fields, notes) == ({"a": "Am\ufffdlie", "b": "a\0b"}, ["replaced_bytes"])


def test_lines_with_longer_delimiters_are_split():
    decode = split_decoder(["user", "item", "stars"], "::", "latin-1")
    assert decode('1::Amélie, "2"::3\r'.encode("latin-1")) == ({"user": "1", "item": 'Amélie, "2"', "stars": "3"}, [])
    for content in (b"1::2", b"1::2::3::4", b""):
        with pytest.raises(RejectError, match=WRONG_NUMBER):
            decode(content)


HOSTILE = [b'a",b,"c\n', b'"\n', b'""\n', b'"""\n', b',"\n', b'x,"a\n', b'"a"b\n', b"\n", b'"' * 1000, b',"' * 999]


@pytest.mark.parametrize("line", HOSTILE)
def test_hostile_quotes_take_time_in_proportion(cut, line):
    content = line * (2**17 // len(line))
    start = time.perf_counter()
    found = cut(content)
    assert time.perf_counter() - start < 10
    assert b"".join(line for _, line in found).count(b'"') == content.count(b'"')


@pytest.mark.parametrize("line", HOSTILE[:4])
def test_hostile_quotes_take_bounded_memory(tmp_path, monkeypatch, line):
    monkeypatch.setattr(delimited, "MAX_RECORD", 2**13)
    path = tmp_path / "x.csv"
    path.write_bytes(line * (2**17 // len(line)))
    tracemalloc.start()
    try:
        records = sum(1 for _ in csv_parts(path, ","))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert records > 100
    assert peak < 2**20


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(' ,;\t"\r\n'), max_size=12)
ROWS = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=6))


@given(
    rows=ROWS,
    delimiter=st.sampled_from(",;|"),
    # With ends of \n alone, Python's writer leaves \r unquoted, which no CSV has.
    style=st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n")]),
)
@example(rows=[["a\n\n\n", '"'], [",", ""]], delimiter=",", style=(csv.QUOTE_MINIMAL, "\r\n"))
@settings(max_examples=150, deadline=None)
def test_what_pythons_writer_wrote_is_read_back(tmp_path_factory, rows, delimiter, style):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=style[0], lineterminator=style[1]).writerows(rows)
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    path.write_bytes(text.getvalue().encode())
    columns = [str(place) for place in range(len(rows[0]) if rows else 2)]
    found = [outcome(line.content, columns, delimiter) for line in lines_of(csv_parts(path, delimiter))]
    # A record that starts with a byte order mark loses it.
    assert [(first.removeprefix(BOM), *others) for first, *others in found] == [
        (first.removeprefix(BOM), *others) for first, *others in rows
    ]


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b'"', b",", b"\n", b'""', b'",', b',"', b"\r\n", b" "])))
@settings(max_examples=300, deadline=None)
def test_nothing_of_any_file_is_lost(tmp_path_factory, pieces):
    content = b"".join(pieces)
    path = tmp_path_factory.getbasetemp() / "any.csv.gz"
    path.write_bytes(gzip.compress(content))  # else it could start as one does
    parts = list(csv_parts(path, ","))
    numbers = [part.number for part in parts]
    assert numbers == sorted(set(numbers))
    place = 0
    for part in parts:
        found = content.index(part.content, place)
        assert not content[place:found].strip()  # blank lines
        place = found + len(part.content)
        assert isinstance(outcome(part.content, "abc"), tuple | str)
    assert not content[place:].strip()
