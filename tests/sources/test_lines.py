import gzip
import hashlib
import tracemalloc

import pytest

from recpipe.errors import UserError
from recpipe.sources.lines import MAX_LINE, Span, line_hash, lines_of, read_parts
from tests.raw_lines import review_2018, write_lines


def read_lines(path):
    return lines_of(read_parts(path))


def test_a_span_ends_where_it_is_to_end_also_where_the_lines_are_others_by_now(tmp_path):
    path = write_lines(tmp_path / "x.json", b"longer than it was", b"b", b"c")
    assert [part.content for part in read_parts(path, Span(0, 5, 1))] == [b"longer than it was\n"]


def test_lines_come_with_their_numbers_and_without_their_ends(tmp_path):
    path = write_lines(tmp_path / "x.json", b"a", b"", b"  \t", b"b\r")
    assert [(line.number, line.content) for line in read_lines(path)] == [(1, b"a"), (4, b"b")]


@pytest.mark.parametrize("zipped", [True, False])
def test_a06_the_first_bytes_tell_gzip_and_not_the_name(tmp_path, zipped):
    path = write_lines(tmp_path / ("x.json" if zipped else "x.json.gz"), b"a", b"b", zipped=zipped)
    assert [line.content for line in read_lines(path)] == [b"a", b"b"]


def test_a_gzip_file_may_have_many_members(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert [line.content for line in read_lines(path)] == [b"a", b"b"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half"),
        pytest.param(lambda whole: whole[:-4], id="no length"),
        pytest.param(lambda whole: whole[:-8] + b"\0\0\0\0" + whole[-4:], id="wrong checksum"),
        pytest.param(lambda whole: whole[:40] + b"\xff" * 20 + whole[60:], id="rubbish inside"),
        pytest.param(lambda whole: whole + b"rubbish", id="rubbish behind"),
        pytest.param(lambda whole: whole[:3], id="hardly a header"),
    ],
)
def test_a07_a_gzip_file_that_is_not_whole_is_named(tmp_path, spoil):
    path = tmp_path / "reviews.json.gz"
    path.write_bytes(spoil(gzip.compress(b"".join(review_2018(reviewerID=f"U{n}") + b"\n" for n in range(2000)))))
    with pytest.raises(UserError, match=r"reviews\.json\.gz unreadable after line \d+"):
        list(read_lines(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(UserError, match=path.name):
            list(read_lines(path))


def test_a09_an_empty_file_has_no_lines(tmp_path):
    assert list(read_lines(write_lines(tmp_path / "empty"))) == []
    assert list(read_lines(write_lines(tmp_path / "blank", b"", b" "))) == []


@pytest.mark.parametrize("zipped", [True, False])
def test_a11_a_line_that_is_too_long_is_told_by_its_hash_only(tmp_path, zipped):
    long = b"x" * (2 * MAX_LINE + 5)
    path = write_lines(tmp_path / "x", b"a", long, long, b"b", zipped=zipped)
    first, second, third, last = read_lines(path)
    assert (first.content, last.content, last.number) == (b"a", b"b", 4)
    assert (second.number, second.content, second.too_long) == (2, b"", True)
    assert second.sha256 == third.sha256 == hashlib.sha256(long).hexdigest() == line_hash(second)


def test_a11_the_longest_line_is_still_read(tmp_path):
    longest = b"x" * MAX_LINE
    whole, beyond = read_lines(write_lines(tmp_path / "x", longest, longest + b"x"))
    assert (whole.content, whole.too_long) == (longest, False)
    assert beyond.too_long


def test_a11_an_endless_line_takes_bounded_memory(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(20):
            file.write(b"x" * MAX_LINE)
    tracemalloc.start()
    try:
        [line] = read_lines(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert line.too_long
    assert peak < 6 * MAX_LINE


def test_a16_a_last_line_without_an_end_is_told(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b'{"a":1}\n{"asin":"8"')
    assert [(line.content, line.ended) for line in read_lines(path)] == [(b'{"a":1}', True), (b'{"asin":"8"', False)]
