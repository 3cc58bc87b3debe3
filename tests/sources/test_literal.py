import ast
import math
import sys
import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recpipe.sources.literal import MAX_DEPTH, READ_AS_LITERAL, decode_literal
from recpipe.sources.records import Reject, RejectError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DATA = st.recursive(
    SCALARS, lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text() | st.integers(), some, max_size=4)
)


def outcome(line):
    try:
        return decode_literal(line)
    except RejectError as error:
        return error.reject


def read(line):
    fields, notes = decode_literal(line)
    assert notes == [READ_AS_LITERAL]
    return fields


def reason(line):
    found = outcome(line)
    assert isinstance(found, Reject), found
    return found.reason


def test_a01_json_and_literals_are_told_line_by_line():
    assert decode_literal(b'{"asin": "A1", "title": null}') == ({"asin": "A1", "title": None}, [])
    assert decode_literal(b"{'asin': 'A1', 'title': 'mug'}") == ({"asin": "A1", "title": "mug"}, ["read_as_literal"])


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"{'asin':'A2','title':None}", {"asin": "A2", "title": None}),
        (b"{'asin':'A3','title':u'x'}", {"asin": "A3", "title": "x"}),
        (rb"{'asin':'A4','title':'caf\xe9'}", {"asin": "A4", "title": "café"}),
        (b"{'asin':'A5','title':'a' 'b'}", {"asin": "A5", "title": "ab"}),
        (b"""{'title': "it's", 'b': 'say "tea"'}""", {"title": "it's", "b": 'say "tea"'}),
        (rb"{'t': 'a\tb\n\\ \' \" \101 \u20ac \U0001f642 \d'}", {"t": "a\tb\n\\ ' \" A € 🙂 \\d"}),
        ("{'t': 'café 🙂'}".encode(), {"t": "café 🙂"}),
        (
            b"{'a': -5, 'b': +.5, 'c': 5., 'd': 1e3, 'e': 0, 'f': 1.5E-2}",
            {"a": -5, "b": 0.5, "c": 5.0, "d": 1000.0, "e": 0, "f": 0.015},
        ),
        (
            b" { 'a' : [ True , False , [ ] , { } , ] , 7 : 'x' , } ",
            {"a": [True, False, [], {}], 7: "x"},
        ),
        (b"\xef\xbb\xbf{'a': 1}", {"a": 1}),
        (b"{'a': 1, 'a': 2}", {"a": 2}),
    ],
)
def test_a02_every_way_of_writing_is_read(line, fields):
    assert read(line) == fields


def test_a03_a_line_is_never_run(tmp_path):
    ran = tmp_path / "ran"
    for line in (
        f'__import__("os").system("touch {ran}")',
        f"{{'asin': __import__('os').system('touch {ran}')}}",
        f"{{'asin': open('{ran}', 'w')}}",
        f"{{'asin': [open('{ran}', 'w') for _ in 'a']}}",
        f"{{'asin': f'{{open({str(ran)!r}, chr(119))}}'}}",
    ):
        assert reason(line.encode()) == "not_a_literal"
    assert not ran.exists()


@pytest.mark.parametrize(
    "value",
    [
        "b'A1'", "r'x'", "f'x'", "{1, 2}", "{'a'}", "(1, 2)", "()", "('a')", "1j", "1 + 2j", "1_000", "0x1f", "0b1",
        "012", "1 2", "1,2", "'a' 1", "- 5", "--5", "not True", "Nonesuch", "None1", "null", "true", "NaN", "inf", "a",
        "...", "1.2.3", "1e", "1if", "[1", "[1}", "[,]", "[1,,2]", "{'a'}", "{'a':}", "{:1}", "{[1]: 2}", "{{}: 2}",
        "'a", "\"a", "'a\\'", r"'\x4'", r"'\u123'", r"'\U00110000'", r"'\UFFFFFFFF'", r"'\N{BULLET}'", "lambda: 1",
        "1 # comment", "9" * 5000, "",
    ],
)  # fmt: skip
def test_a04_what_is_no_data_is_rejected(value):
    assert reason(b"{'asin': " + value.encode() + b"}") == "not_a_literal"


@pytest.mark.parametrize(
    "line", ["{'n': " + "9" * 5000 + "}", "{'asin': 'A1'} x", "{'asin': 'A1'}{}", "{'asin'", "{", "x"]
)
def test_a04_so_is_what_holds_more_than_data(line):
    assert reason(line.encode()) == "not_a_literal"


@pytest.mark.parametrize("line", [b"['A1']", b"'A1'", b"7", b"None", b"[1, u'x']"])
def test_a_literal_that_is_no_dict_is_no_object(line):
    assert reason(line) == "not_an_object"


def test_a05_a_mangled_line_is_rejected():
    assert reason(b"{'asin':'A1','quesV ?', 'x': 1}") == "not_a_literal"


@pytest.mark.parametrize("opening", ["[", "{'a': ", "{1: ["])
@pytest.mark.parametrize("times", [MAX_DEPTH + 1, 3000, 100_000])
def test_a12_deep_nesting_is_rejected(opening, times):
    limit = sys.getrecursionlimit()
    assert reason(b"{'x': " + opening.encode() * times) == "nested_too_deeply"
    assert sys.getrecursionlimit() == limit


def test_a12_what_an_item_may_need_is_read():
    depth = MAX_DEPTH - 1
    assert read(b"{'x': " + b"[" * depth + b"]" * depth + b"}")["x"] is not None
    assert reason(b"{'x': " + b"[" * (depth + 1) + b"]" * (depth + 1) + b"}") == "nested_too_deeply"


def test_a13_bytes_that_are_no_utf8_are_replaced_and_counted():
    assert decode_literal(b"{'t': 'a\xff'}") == ({"t": "a\ufffd"}, ["replaced_bytes", READ_AS_LITERAL])
    assert read(rb"{'t': 'a\ud800', 'n': 'b\x00'}") == {"t": "a\ud800", "n": "b\0"}
    assert read(b"{'t': 'a\0b'}") == {"t": "a\0b"}


def test_a16_a_line_that_was_cut_is_no_literal():
    whole = b"{'asin': '8', 'title': 'it\\'s', 'price': 7.5, 'related': {'also_bought': ['9', u'10']}}"
    assert read(whole)
    for length in range(1, len(whole)):
        assert reason(whole[:length]) == "not_a_literal"


@given(st.dictionaries(st.text() | st.integers(), DATA, max_size=5))
@settings(max_examples=60, deadline=None)
def test_what_python_writes_is_read_back(fields):
    for line in (repr(fields), ascii(fields)):
        found = outcome(line.encode("utf-8", "surrogatepass"))
        assert not isinstance(found, Reject), found
        assert found[0] == fields
        assert repr(found[0]) == repr(fields)  # also True is not 1


TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "'a'",
        '"b"',
        "u'c'",
        "b'd'",
        "1",
        "-2",
        "0.5",
        "1e400",
        "07",
        "None",
        "True",
        " ",
        "\\",
        "'",
    ]
)


@given(st.lists(TOKENS, max_size=12).map("".join) | st.text(alphabet="{}[],:'\"\\ux01ae.-+ NTF", max_size=30))
@example("{'a': '\\\n'}")
@settings(max_examples=400, deadline=None)
def test_what_is_read_is_what_python_reads(text):
    found = outcome(text.encode())
    if isinstance(found, Reject) or READ_AS_LITERAL not in found[1]:
        return
    assert repr(found[0]) == repr(ast.literal_eval(text.strip()))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda junk: b"{'a': " + junk + b"}"))
@settings(max_examples=300, deadline=None)
def test_nothing_but_a_reject_comes_of_any_bytes(content):
    found = outcome(content)
    assert isinstance(found, Reject) or isinstance(found[0], dict)


@pytest.mark.parametrize(
    "item",
    [
        "1,",
        "{},",
        "[],",
        "'',",
        "'a' ",
        "'\\x41',",
        "'\\",
        '"\\',
        "-",
        "1.",
        "9" * 4300 + ",",
        " ",
        "\\",
        "{'a':[",
        "u",
        "'",
    ],
)
def test_hostile_lines_take_time_and_memory_in_proportion(item):
    line = b"{'a': [" + (item * (2**18 // len(item))).encode() + b"]}"
    tracemalloc.start()
    start = time.perf_counter()
    try:
        outcome(line)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 10
    assert peak < 60 * len(line)


def test_numbers_beyond_a_float_are_infinite_as_in_python():
    assert read(b"{'a': 1e999, 'b': 1}") == {"a": math.inf, "b": 1}
