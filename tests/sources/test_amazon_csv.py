from datetime import date, timedelta

import pytest

from recpipe.sources import amazon
from recpipe.sources.formats import CSV, Layout, dated, parse
from recpipe.sources.records import Accepted, Reject, Review
from tests.parsed import TODAY
from tests.raw_lines import csv_record

COMMON = ("reviewText", "overall", "summary", "unixReviewTime", "reviewTime")
COLUMNS_2014 = ("reviewerID", "asin", "reviewerName", "helpful", *COMMON)
COLUMNS_2018 = ("reviewerID", "asin", "reviewerName", *COMMON, "verified", "style", "vote")
CSV_RECORDS = [
    (
        amazon.CSV_2014,
        COLUMNS_2014,
        csv_record("U1", "0001", 'Ann "A"', "[13, 14]", "Good,\ngood.", 5, "Fine", 1393545600, "02 28, 2014"),
        Review("U1", "0001", 1393545600_000_000, 5.0, "Fine", "Good,\ngood.", 13, None),
    ),
    (
        amazon.CSV_2018,
        COLUMNS_2018,
        csv_record("U1", "I1", "Ann", "Good.", 4.0, "", 1425859200, "03 9, 2015", True, "{'Size:': ' 7'}", "1,234"),
        Review("U1", "I1", 1425859200_000_000, 4.0, None, "Good.", 1234, True),
    ),
    (
        amazon.CSV_2014,
        ("user", "item", "rating", "timestamp"),
        csv_record("U1", "I1", 3.0, 1393545600),
        Review("U1", "I1", 1393545600_000_000, 3.0, None, None, None, None),
    ),
    (
        amazon.CSV_2018,
        ("item", "user", "rating", "timestamp"),
        csv_record("I1", "U1", "3.0", 1393545600.0),
        Review("U1", "I1", 1393545600_000_000, 3.0, None, None, None, None),
    ),
    (
        amazon.CSV_2023,
        ("user_id", "parent_asin", "rating", "timestamp"),
        csv_record("U1", "P1", 1.0, 1588687728923),
        Review("U1", "P1", 1588687728923_000, 1.0, None, None, None, None),
    ),
]


@pytest.mark.parametrize(("format_", "columns", "line", "expected"), CSV_RECORDS)
def test_a17_a_review_in_csv(format_, columns, line, expected):
    decode = Layout(format_, CSV, columns).decoder()
    assert format_.is_like(dict.fromkeys(columns, ""))
    assert parse(line, format_, decode, TODAY) == Accepted(expected, [])
    assert dated(line, format_, decode) == date(1970, 1, 1) + timedelta(microseconds=expected.reviewed_at)


def csv_review_2018(**fields):
    decode = Layout(amazon.CSV_2018, CSV, COLUMNS_2018).decoder()
    whole = {"reviewerID": "U1", "asin": "I1", "overall": "5.0", "unixReviewTime": "1425859200", **fields}
    return parse(csv_record(*(whole.get(name, "") for name in COLUMNS_2018)), amazon.CSV_2018, decode, TODAY)


def test_flags_and_votes_of_csv_are_text():
    for written, read in (("True", True), ("False", False), ("true", True), ("", None), ("yes", None)):
        assert csv_review_2018(verified=written).record.verified is read
    for written, read in (("", None), ("7", 7), ("7.0", 7), ("1,234", 1234)):
        assert csv_review_2018(vote=written) == Accepted(csv_review_2018().record._replace(vote=read), [])
    assert csv_review_2018(vote="7.5").notes == ["unreadable_vote"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"reviewerID": ""}, "missing_user"),
        ({"asin": " "}, "missing_item"),
        ({"overall": ""}, "missing_rating"),
        ({"overall": "4.5"}, "bad_rating"),
        ({"overall": "nan"}, "bad_rating"),
        ({"unixReviewTime": ""}, "missing_date"),
        ({"unixReviewTime": "soon"}, "bad_date"),
    ],
)
def test_b03_a_review_in_csv_is_judged_as_one_in_json(fields, why):
    assert csv_review_2018(**fields) == Reject(why)
