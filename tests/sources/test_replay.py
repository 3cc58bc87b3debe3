import gzip
import hashlib
from datetime import date

import pytest

from recpipe.errors import UserError
from recpipe.sources import amazon, replay
from recpipe.sources.formats import LINES, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import MAX_LINE, lines_of, read_parts
from recpipe.sources.replay import Origin, cut, origin_file, origin_lines, read_origin, write_origin
from tests.raw_lines import review_2018, seconds, write_lines

LAYOUT = Layout(amazon.REVIEWS_2018, LINES)
FIRST = date(2018, 1, 2)


def on(day, **fields):
    return review_2018(unixReviewTime=seconds(day), **fields)


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_lines(path):
    return lines_of(read_parts(path))


def contents(folder):
    return {
        path.parent.name: [line.content for line in read_lines(path)] for path in folder.rglob("arrived_on=*/[!_]*")
    }


def test_lines_go_to_their_days_byte_for_byte(tmp_path):
    lines = [
        on("2018-01-04"),
        on("2017-05-05"),
        b'{"a":  "odd",}',
        on("2018-01-02"),
        on("2018-01-03"),
        on("2018-01-04"),
    ]
    dump = write_lines(tmp_path / "dump.json", *lines)
    days = cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "out")
    assert days == {date(2018, 1, 2): 3, date(2018, 1, 3): 1, date(2018, 1, 4): 2}
    assert contents(tmp_path / "out") == {
        "arrived_on=2018-01-02": lines[1:4],
        "arrived_on=2018-01-03": [lines[4]],
        "arrived_on=2018-01-04": [lines[0], lines[5]],
    }


def test_each_line_knows_its_number_in_the_dump(tmp_path):
    dump = write_lines(tmp_path / "dump.json", on("2018-01-03"), b"", on("2018-01-01"), on("2018-01-03"))
    cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "out")
    path = tmp_path / "out" / "arrived_on=2018-01-03" / "dump.json.gz"
    assert list(origin_lines(path)) == [1, 4]
    origin = read_origin(path, FORMATS)
    assert origin == Origin("dump.json", sha256_of(dump), LAYOUT, True, sha256_of(path))


def test_a_file_that_was_put_there_by_hand_has_no_origin(tmp_path):
    assert read_origin(write_lines(tmp_path / "x.json", on("2018-01-01")), FORMATS) is None


def test_a_format_that_is_not_known_any_more_is_named(tmp_path):
    path = write_lines(tmp_path / "x.json", on("2018-01-01"))
    write_origin(path, Origin("x.json", "0", LAYOUT, is_cut=False))
    assert read_origin(path, FORMATS).layout == LAYOUT
    with pytest.raises(UserError, match=r"expected the format amazon-2018 \(reviews\) of .*x\.json to be known"):
        read_origin(path, FORMATS[1:])


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b""), id="no line"),
        pytest.param(gzip.compress(b"{}"), id="no fields"),
        pytest.param(gzip.compress(b"[1]"), id="a list"),
        pytest.param(gzip.compress(b'{"origin":"x","sha256":"0","format":"amazon-2018","kind":"reviews"}'), id="half"),
        pytest.param(b"\x1f\x8b", id="cut"),
    ],
)
def test_an_origin_that_cannot_be_read_is_named(tmp_path, spoilt):
    path = write_lines(tmp_path / "x.json", on("2018-01-01"))
    origin_file(path).write_bytes(spoilt)
    with pytest.raises(UserError, match=r"_x\.json\.origin"):
        read_origin(path, FORMATS)


def test_turns_of_a_large_dump_give_the_same_lines(tmp_path, monkeypatch):
    lines = [on(f"2018-01-{day:02}", reviewerID=f"U{n}") for n in range(50) for day in range(1, 8)]
    dump = write_lines(tmp_path / "dump.json", *lines)
    counts = cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "at_once")
    monkeypatch.setattr(replay, "HELD_BYTES", 2000)
    assert cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "in_turns") == counts
    assert sum(counts.values()) == 350
    assert contents(tmp_path / "at_once") == contents(tmp_path / "in_turns")
    for path in (tmp_path / "in_turns").rglob("arrived_on=*/[!_]*"):
        assert list(origin_lines(path)) == list(origin_lines(tmp_path / "at_once" / path.parent.name / path.name))
        assert len(list(origin_lines(path))) == counts[date.fromisoformat(path.parent.name[-10:])]


def test_equal_dumps_give_equal_bytes(tmp_path):
    dump = write_lines(tmp_path / "dump.json", on("2018-01-03"), on("2018-01-01"))
    for folder in ("one", "two"):
        cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / folder)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert (tmp_path / "one" / file).read_bytes()[4:8] == bytes(4)  # gzip's place for the time of writing


def test_a11_a_line_that_is_too_long_arrives_first_and_whole(tmp_path):
    long = b'{"reviewText":"' + b"x" * (2 * MAX_LINE)
    dump = write_lines(tmp_path / "dump.json", on("2018-01-03"), long, on("2018-01-01"))
    assert cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "out") == {date(2018, 1, 3): 1, FIRST: 2}
    path = tmp_path / "out" / "arrived_on=2018-01-02" / "dump.json.gz"
    assert gzip.decompress(path.read_bytes()) == long + b"\n" + on("2018-01-01") + b"\n"
    assert list(origin_lines(path)) == [2, 3]


def test_a16_the_last_line_stays_without_an_end(tmp_path):
    dump = tmp_path / "dump.json"
    dump.write_bytes(on("2018-01-03") + b"\n" + on("2018-01-03")[:-5])
    cut(dump, "dump.json", LAYOUT, FIRST, tmp_path / "out")
    [line] = read_lines(tmp_path / "out" / "arrived_on=2018-01-02" / "dump.json.gz")
    assert not line.ended
