import gzip
import hashlib
from datetime import date
from random import Random

import pytest

from recpipe.errors import UserError
from recpipe.sources import amazon, replay
from recpipe.sources.files import records_of
from recpipe.sources.formats import CSV, LINES, Layout
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import MAX_LINE, lines_of, read_parts
from recpipe.sources.replay import Origin, cut, cut_records, origin_file, origin_lines, read_origin, write_origin
from tests.orders import mapped
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


def csv_dump(path, lines):
    format_ = mapped(kind="reviews", user_id="user", item_id="item", rating="rating", reviewed_at="at", text="text")
    columns = ("user", "item", "rating", "at", "text")
    return write_lines(path, *lines), Layout(format_, CSV, columns)


def cut_and_read(folder, dump, layout):
    """The records of the cut files by their line number in the dump."""
    counts, found = cut(dump, dump.name, layout, FIRST, folder), []
    for day, count in counts.items():
        path = folder / f"arrived_on={day}" / f"{dump.name}.gz"
        records = list(cut_records(path, layout))
        assert len(records) == count
        found += zip(origin_lines(path), (line.content for line in records), strict=True)
    return sorted(found)


def test_a_cut_csv_file_has_the_records_of_its_dump(tmp_path):
    """Whatever quotes the cut brings together."""
    random = Random(3)
    starts = [b"U1,I1,5,%d," % seconds(day) for day in ("2018-01-01", "2018-01-03", "2018-01-04")]
    texts = [b'"open', b'shut"', b'"both"', b"none", b'"two\nlines"', b'"three\n\nlines"', b'"broken"x', b'""']
    for turn in range(200):
        lines = [random.choice(starts) + random.choice(texts) for _ in range(12)]
        dump, layout = csv_dump(tmp_path / f"{turn}.csv", lines)
        whole = [(line.number, line.content) for line in records_of(dump, layout)]
        assert cut_and_read(tmp_path / "out", dump, layout) == whole


def test_a11_a_line_of_csv_that_is_too_long_is_one_of_the_records(tmp_path):
    start = b"U1,I1,5,%d," % seconds("2018-01-01")
    lines = [start + b'"two\nlines"', start + b"x" * 2 * MAX_LINE, start + b"last"]
    dump, layout = csv_dump(tmp_path / "r.csv", lines)
    assert cut_and_read(tmp_path / "out", dump, layout) == [(1, lines[0]), (3, b""), (4, lines[2])]


def test_an_old_companion_does_not_tell_how_many_lines_a_record_has(tmp_path):
    dump, layout = csv_dump(tmp_path / "r.csv", [b'U1,I1,5,0,"two\nlines"', b"U2,I2,5,0,one"])
    cut(dump, "r.csv", layout, FIRST, tmp_path)
    path = tmp_path / f"arrived_on={FIRST}" / "r.csv.gz"
    header = gzip.decompress(origin_file(path).read_bytes()).partition(b"\n")[0]
    origin_file(path).write_bytes(gzip.compress(header + b"\n1\n3\n"))
    assert list(origin_lines(path)) == [1, 3]
    assert [line.number for line in cut_records(path, layout)] == [1, 3]
