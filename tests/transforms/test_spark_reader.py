import gzip
import hashlib
from datetime import UTC, datetime

import pytest

from recpipe.arriving import arriving_files
from recpipe.choice import Choice
from recpipe.errors import UserError
from recpipe.intake import WRONG_UNIT
from recpipe.landing import replay
from recpipe.sources.files import hashed
from recpipe.sources.known import FORMATS
from recpipe.sources.lines import MAX_LINE
from recpipe.sources.pictures import Limits
from recpipe.sources.replay import origin_file
from recpipe.sources.spark_reader import files_frame, read_landed
from recpipe.tables import ITEMS, REVIEWS
from tests.orders import mapped
from tests.raw_lines import item_2018, item_2023, landed, review_2018, review_2023, seconds, write_lines
from tests.rows import MONDAY, TUESDAY, WEDNESDAY

LIMITS = Limits(max_bytes=1000, max_pixels=100)


@pytest.fixture
def landing(tmp_path):
    return tmp_path / "landing"


def read(spark, landing, table=REVIEWS, ds=WEDNESDAY, formats=FORMATS):
    files = arriving_files(landing, set(), ds, formats).files_of(table.name)
    staging = landing.with_name("staging")
    staging.mkdir(exist_ok=True)
    return sorted(
        read_landed(spark, files, table, staging, LIMITS).collect(), key=lambda row: (row.file, row.line_number)
    )


def refusal(spark, landing):
    with pytest.raises(UserError) as refused:
        read(spark, landing)
    return str(refused.value)


def test_every_line_has_a_row_accepted_or_rejected(spark, landing):
    bad = review_2023(user_id=None)
    landed(landing, "reviews", "2024-01-01", "r.json", review_2023(helpful_vote=3), b"", bad, review_2023(user_id="U2"))
    first, second, third = read(spark, landing)
    assert [row.line_number for row in (first, second, third)] == [1, 3, 4]
    assert (first.user_id, first.item_id, first.rating, first.title, first.text) == ("U1", "I1", 5.0, "Fine", "Good.")
    assert (first.vote, first.verified, first.reason, first.notes) == (3, True, None, [])
    assert first.reviewed_at.replace(tzinfo=UTC) == datetime(2024, 1, 1, tzinfo=UTC)
    assert (first.arrived_on, first.kind, first.origin, first.origin_line) == (MONDAY, "reviews", "r.json", 1)
    assert (second.reason, second.line_hash) == ("missing_user", hashlib.sha256(bad).hexdigest())
    assert second.user_id is second.item_id is second.rating is second.reviewed_at is second.notes is None


def test_items_of_both_formats_are_read_side_by_side(spark, landing):
    landed(landing, "items", "2024-01-01", "a.json", item_2018(imageURL=["http://x/1.jpg"]))
    landed(landing, "items", "2024-01-02", "b.json.gz", item_2023(parent_asin="I2", price="x"), zipped=True)
    first, second = read(spark, landing, ITEMS)
    assert (first.item_id, first.categories, first.price, first.image_url) == (
        "I1",
        ["Kitchen", "Cups"],
        12.99,
        "http://x/1.jpg",
    )
    assert (second.item_id, second.arrived_on, second.price, second.notes) == (
        "I2",
        TUESDAY,
        None,
        ["unreadable_price"],
    )


def test_a_line_of_a_cut_file_knows_its_place_in_the_dump(spark, tmp_path, landing):
    lines = [review_2018(unixReviewTime=seconds(day)) for day in ("2024-01-02", "2024-01-01", "2024-01-02")]
    replay([write_lines(tmp_path / "dump.json", *lines)], Choice("amazon-2018"), landing, MONDAY)
    found = sorted((str(row.arrived_on), row.line_number, row.origin, row.origin_line) for row in read(spark, landing))
    assert found == [
        ("2024-01-01", 1, "dump.json", 2),
        ("2024-01-02", 1, "dump.json", 1),
        ("2024-01-02", 2, "dump.json", 3),
    ]


def test_a_line_may_be_taken_out_of_a_cut_file(spark, tmp_path, landing):
    lines = [review_2018(reviewerID=name) for name in ("U1", "U2", "U3")]
    replay([write_lines(tmp_path / "dump.json", b"", *lines)], Choice("amazon-2018"), landing, MONDAY)
    path = landing / "reviews" / "arrived_on=2024-01-01" / "dump.json.gz"
    assert [row.origin_line for row in read(spark, landing)] == [2, 3, 4]
    write_lines(path, lines[0], lines[2], zipped=True)
    assert [(row.user_id, row.origin, row.origin_line) for row in read(spark, landing)] == [
        ("U1", "dump.json.gz", 1),
        ("U3", "dump.json.gz", 2),
    ]


def test_a_cut_csv_file_has_the_records_of_its_dump(spark, tmp_path, landing):
    """Of lines whose quotes are open until the cut brings them together."""
    format_ = mapped(
        kind="reviews", user_id="user", item_id="item", rating="rating", reviewed_at="at", time_unit="iso", text="text"
    )
    lines = [
        b'U1,I1,5,2023-12-31,"5 inch screen',
        b'U2,I2,5,2024-01-02,"good, really"',
        b'U3,I3,4,2023-12-31,screen of 12"',
        b'U4,I4,4,2023-12-31,"two\nlines"',
    ]
    dump = write_lines(tmp_path / "r.csv", b"user,item,rating,at,text", *lines)
    replay([dump], Choice("shop", [format_]), landing, MONDAY)
    found = sorted(read(spark, landing, formats=[format_]), key=lambda row: row.arrived_on)
    assert [(str(row.arrived_on), row.line_number, row.origin_line, row.reason, row.text) for row in found] == [
        ("2024-01-01", 1, 2, "not_csv", None),
        ("2024-01-01", 2, 4, None, 'screen of 12"'),
        ("2024-01-01", 3, 5, None, "two\nlines"),
        ("2024-01-02", 1, 3, None, "good, really"),
    ]


def test_a07_a_file_that_is_not_whole_is_named_with_the_others_like_it(spark, landing):
    for name in ("a.json.gz", "b.json.gz"):
        lines = [review_2023(user_id=f"U{n * n}", text=name) for n in range(3000)]
        path = landed(landing, "reviews", "2024-01-01", name, *lines, zipped=True)
        path.write_bytes(path.read_bytes()[:-3000])
    landed(landing, "reviews", "2024-01-02", "good.json", review_2023())
    message = refusal(spark, landing)
    assert message.startswith("expected a whole text or gzip file, found ")
    assert "a.json.gz unreadable after line" in message
    assert message.endswith("; and 1 more files like it")


def test_c01_a_date_in_the_wrong_unit_is_noted_beside_its_reason(spark, landing):
    wrong, right = review_2023(timestamp=seconds("2024-01-01")), review_2023()
    landed(landing, "reviews", "2024-01-01", "r.json", wrong, right)
    found = [(row.reason, row.notes) for row in read(spark, landing)]
    assert found == [("dated_before_1995", [WRONG_UNIT]), (None, [])]


def test_the_spans_of_a_large_file_are_read_side_by_side(spark, tmp_path, landing):
    landed(landing, "reviews", "2024-01-01", "r.json", *(review_2023(user_id=f"U{n}") for n in range(9000)))
    [file] = arriving_files(landing, set(), MONDAY).files
    spans = hashed(file.path, span_bytes=2**20).spans
    assert len(spans) > 1
    frame = read_landed(spark, [file._replace(spans=spans)], REVIEWS, tmp_path, LIMITS)
    assert len(list(tmp_path.glob("*.parquet"))) == len(spans)
    found = [(row.line_number, row.user_id) for row in frame.select("line_number", "user_id").collect()]
    assert sorted(found) == [(number, f"U{number - 1}") for number in range(1, 9001)]


@pytest.mark.parametrize("lines", [[], [review_2023(), review_2023(user_id="U2")]])
def test_a_file_that_is_replaced_after_it_was_hashed_is_refused(spark, tmp_path, landing, lines):
    landed(landing, "reviews", "2024-01-01", "r.json", *lines)
    files = arriving_files(landing, set(), MONDAY).files_of("reviews")
    write_lines(tmp_path / "new", *(review_2023(user_id=f"N{n}") for n in range(9))).replace(files[0].path)
    with pytest.raises(UserError, match=r"expected .*r\.json as it was when .* found it changed; run again"):
        read_landed(spark, files, REVIEWS, tmp_path, LIMITS)


@pytest.mark.parametrize("numbers", [b"1\n", b"1\n2\n3\n", b"1\nx\n"])
def test_a_companion_that_does_not_fit_is_named(spark, tmp_path, landing, numbers):
    replay([write_lines(tmp_path / "dump.json", review_2018(), review_2018())], Choice("amazon-2018"), landing, MONDAY)
    companion = origin_file(landing / "reviews" / "arrived_on=2024-01-01" / "dump.json.gz")
    header = gzip.decompress(companion.read_bytes()).splitlines()[0]
    companion.write_bytes(gzip.compress(header + b"\n" + numbers))
    message = refusal(spark, landing)
    assert "dump.json.gz" in message
    assert message.endswith("land the dump again")


def test_a09_files_without_lines_and_days_without_files_have_no_rows(spark, landing):
    landed(landing, "reviews", "2024-01-01", "empty.json")
    assert read(spark, landing) == []
    assert read(spark, landing, ITEMS) == []


def test_a11_and_a16_lines_that_are_too_long_or_cut_off_have_reasons_of_their_own(spark, landing):
    path = landed(landing, "reviews", "2024-01-01", "r.json", review_2023(), b'{"text":"' + b"x" * MAX_LINE)
    with path.open("ab") as file:
        file.write(review_2023()[:-9])
    rows = read(spark, landing)
    assert [row.reason for row in rows] == [None, "line_too_long", "cut_off"]
    assert rows[1].line_hash == hashlib.sha256(b'{"text":"' + b"x" * MAX_LINE).hexdigest()


def test_a13_odd_text_passes_through_spark(spark, landing):
    odd = review_2023(text="a\ud800b\0c 🙂", title="é\ud83d")
    [row] = (landed(landing, "reviews", "2024-01-01", "r.json", odd), read(spark, landing))[1]
    assert (row.text, row.title) == ("a\ufffdbc 🙂", "é\ufffd")


def test_many_lines_come_in_batches_and_all_come(spark, tmp_path, landing):
    landed(landing, "reviews", "2024-01-01", "r.json", *(review_2023(user_id=f"U{n}") for n in range(25_000)))
    files = arriving_files(landing, set(), MONDAY).files
    found = read_landed(spark, files, REVIEWS, tmp_path, LIMITS)
    assert (found.count(), found.select("user_id").distinct().count()) == (25_000, 25_000)


def test_files_are_rows_of_arrivals(spark, landing):
    path = landed(landing, "reviews", "2024-01-01", "r.json", review_2023())
    [row] = files_frame(spark, arriving_files(landing, set(), MONDAY).files).collect()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert tuple(row) == (MONDAY, "reviews", "r.json", "amazon-2023", "r.json", sha256, None)
    assert files_frame(spark, []).count() == 0
