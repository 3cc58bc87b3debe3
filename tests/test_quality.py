import json
from datetime import UTC, date, datetime

import pytest
from typer.testing import CliRunner

from recpipe import delta
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.printing import bars
from recpipe.quality import quality
from recpipe.quality_report import Trend, quality_json, trends
from recpipe.quality_section import quality_page, quality_section, trend_line
from recpipe.tables import ARRIVALS, EVENTS, ITEMS, REJECTED_ROWS, REVIEWS, USERS
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, item, rejected_row, review

HOSTILE = "<script>alert(1)</script>[red]&\"'.json"
TRENDS = ([], [None], [0.2, None], [0.3, 0.2], [0.2, None, 0.3, None], [0.2, 0.20001])
SECRET = "only the shop may read this"


def noon(day):
    return datetime(2024, 1, day, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Monday with reviews and items, Tuesday without files, Wednesday with a file that had arrived before."""
    root = tmp_path_factory.mktemp("home") / "lake"
    empty_lake(root)
    counts = {"lines_read": 20, "accepted": 10, "rejected": 6, "duplicates": 4}
    none = {"lines_read": 0, "accepted": 0, "rejected": 0, "duplicates": 0}
    again = {**none, "arrived_on": WEDNESDAY, "file": HOSTILE, "same_as": "2024-01-01/a.json"}
    few = {"lines_read": 10, "accepted": 10, "rejected": 0, "duplicates": 0}
    arrivals = [
        arrival(**counts),
        arrival(kind="items", **few),
        arrival(arrived_on=TUESDAY, kind="none", file="", format="", **none),
        arrival(arrived_on=WEDNESDAY, file="b.json", lines_read=5, accepted=4, rejected=1, duplicates=0),
        arrival(**again),
    ]
    delta.append(root, ARRIVALS, arrivals)
    lines = [rejected_row("bad_rating", number) for number in (7, 3, 12, 5, 9, 100)]
    lines += [rejected_row("not_json", 2, arrived_on=WEDNESDAY, file=HOSTILE)]
    delta.append(root, REJECTED_ROWS, lines)
    reviews = [
        review("ann", "i1", title=SECRET, text=SECRET, vote=3, reviewed_at=noon(1)),
        review("ann", "i2", text=SECRET, reviewed_at=datetime(2023, 5, 1, 23, 59, tzinfo=UTC)),
        review("bob", "i2", verified=False),
        review("bob", "i3"),
        review("ann", "i4", arrived_on=WEDNESDAY, title=SECRET, reviewed_at=noon(3)),
    ]
    delta.append(root, REVIEWS, reviews)
    late = item("i2", SECRET, arrived_on=WEDNESDAY, categories=["Cups"], price=1.0)
    delta.append(root, ITEMS, [item("i1", SECRET, image_url="https://x/y.png"), late])
    event = {"arrived_on": WEDNESDAY, "user_id": "ann", "item_id": "i1", "event_type": "view", "occurred_at": noon(2)}
    delta.append(root, EVENTS, [event])
    delta.append(root, USERS, [{"arrived_on": MONDAY, "user_id": "ann", "age": 25, "gender": None, "occupation": None}])
    return root


def test_counts_of_a_day_and_of_all_days_add_up(lake):
    report = quality(lake)
    assert list(report.days) == [MONDAY, TUESDAY, WEDNESDAY]
    names = ("files", "read", "accepted", "rejected", "duplicates")
    assert [[getattr(figures, name) for name in names] for figures in (*report.days.values(), report.total)] == [
        [2, 30, 20, 6, 4],
        [0, 0, 0, 0, 0],
        [2, 5, 4, 1, 0],
        [4, 35, 24, 7, 4],
    ]
    assert report.days[MONDAY].rejected_share == 0.2
    assert report.days[TUESDAY].rejected_share is None
    for figures in (*report.days.values(), report.total):
        assert figures.read == figures.accepted + figures.rejected + figures.duplicates
        assert figures.rejected == sum(why.lines for why in figures.reasons)


def test_a_reason_has_its_first_lines_as_examples(lake):
    report = quality(lake)
    [why] = report.days[MONDAY].reasons
    assert (why.kind, why.reason, why.lines) == ("reviews", "bad_rating", 6)
    assert [(line["file"], line["line_number"]) for line in why.examples] == [("a.json", n) for n in (3, 5, 7, 9, 12)]
    assert why.places() == ["2024-01-01/a.json:3,5,7,9,12"]
    assert [(why.reason, why.lines) for why in report.total.reasons] == [("bad_rating", 6), ("not_json", 1)]


def test_a_file_that_had_arrived_before_is_named(lake):
    report = quality(lake)
    [repeat] = report.days[WEDNESDAY].repeats
    assert (repeat["file"], repeat["same_as"]) == (HOSTILE, "2024-01-01/a.json")
    assert report.total.repeats == [repeat]


def test_b05_fill_rates_are_shares_of_a_kinds_rows(lake):
    report = quality(lake)
    assert report.days[MONDAY].fill_rates() == {
        "reviews": {"title": 0.25, "text": 0.5, "vote": 0.25, "verified": 0.25},
        "items": {"title": 1, "brand": 0, "categories": 0, "price": 0, "description": 0, "image_url": 1},
        "users": {"age": 1, "gender": 0, "occupation": 0},
    }
    assert report.total.fill_rates()["reviews"]["title"] == 0.4
    assert report.total.fill_rates()["items"]["categories"] == 0.5
    assert report.days[TUESDAY].fill_rates() == {}


def test_dates_covered_are_utc_days(lake):
    report = quality(lake)
    assert report.days[MONDAY].dates == {"reviews": (date(2023, 5, 1), MONDAY)}
    assert report.total.dates == {"reviews": (date(2023, 5, 1), WEDNESDAY), "events": (TUESDAY, TUESDAY)}


def test_b08_items_with_reviews_but_no_metadata_are_counted_as_of_their_day(lake):
    report = quality(lake)
    counted = {day: (figures.items_without_metadata, figures.items_reviewed) for day, figures in report.days.items()}
    assert counted == {MONDAY: (2, 3), TUESDAY: (0, 0), WEDNESDAY: (1, 1)}
    assert report.total.without_metadata_share == 2 / 4  # i2 got its metadata on Wednesday
    assert quality(lake, last=TUESDAY).total.without_metadata_share == 2 / 3


def test_the_trend_is_of_the_last_arrivals_that_had_files(lake):
    trend = {line.name: line for line in trends(quality(lake))}
    assert (trend["read"].values, trend["read"].in_all) == ([30, 5], 35)
    assert trend["rejected share"].values == [0.2, 0.2]
    assert trend["reviews.title filled"] == ("reviews.title filled", [0.25, 1], 0.4, True)
    assert trend["users.age filled"].values == [1, None]
    assert trends(quality(lake, trend_arrivals=1))[0].values == [5]
    assert trends(quality(lake, TUESDAY, TUESDAY))[0].values == []


def test_a_trend_compares_what_was_measured_last_with_what_was_before():
    assert [(t.last, t.change) for t in (Trend("", values, None) for values in TRENDS)] == [
        (None, ""),
        (None, ""),
        (0.2, ""),
        (0.2, "↓"),
        (0.3, "↑"),
        (0.20001, "="),
    ]
    assert (Trend("", [], None).say(0.0123), Trend("", [], None, is_share=False).say(1234)) == ("1.23%", "1,234")


def test_a_span_of_days_is_reported_alone_and_an_empty_or_wrong_one_refused(lake):
    report = quality(lake, TUESDAY, date(2024, 6, 1))
    assert (report.first, report.last, report.total.read) == (TUESDAY, WEDNESDAY, 5)
    with pytest.raises(UserError, match="found 2024-01-01 to 2024-01-03; run ingest_reviews"):
        quality(lake, date(2024, 6, 1))
    with pytest.raises(UserError, match="--from before --to"):
        quality(lake, TUESDAY, MONDAY)


def test_a_stopped_day_is_told_unless_it_is_sealed(lake):
    stopped = {TUESDAY: "stopped: old", date(2024, 1, 4): "stopped: 5 of 9"}
    assert quality(lake, stopped=stopped).stopped == {date(2024, 1, 4): "stopped: 5 of 9"}
    with pytest.raises(UserError, match="found 2024-01-04 stopped: 5 of 9"):
        quality(lake, date(2024, 1, 4), stopped=stopped)


def test_a_page_escapes_what_comes_from_outside_and_needs_nothing_from_elsewhere(lake):
    stopped = {date(2024, 1, 4): f"stopped: {HOSTILE}"}
    section = quality_section(quality(lake, stopped=stopped))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[red]&amp;&#34;&#39;.json:2" in section
    page = quality_page(quality(lake, stopped=stopped))
    assert section in page
    for forbidden in ("<script", "http:", "https:", "src=", SECRET):
        assert forbidden not in page
    assert page.count("<polyline") == page.count('role="img"') == 16
    assert quality_section(quality(lake, TUESDAY, TUESDAY))


def test_a_trend_line_runs_from_foot_to_top_with_gaps():
    assert trend_line([0, 1, None, 0.5]) == ["3.0,25.0 54.3,3.0", "157.0,14.0 157.0,14.0"]
    assert trend_line([0, 0]) == ["3.0,25.0 157.0,25.0"]
    assert trend_line([]) == []


def test_bars_run_from_nothing_to_the_greatest():
    assert bars([0, 2, 1, None]) == "▁█▅·"
    assert bars([0, 0]) == "▁▁"
    assert bars([]) == ""


def recpipe(lake, monkeypatch, *arguments):
    monkeypatch.setenv("RECPIPE_HOME", str(lake.parent))
    return CliRunner().invoke(app, ["quality", *arguments], catch_exceptions=False).output


def test_the_terminal_shows_names_as_they_are_and_no_text(lake, monkeypatch):
    shown = recpipe(lake, monkeypatch)
    assert f"2024-01-03/{HOSTILE}:2" in shown
    assert f"reviews/2024-01-03/{HOSTILE} had arrived before as 2024-01-01/a.json" in shown
    assert "reviews.title filled" in shown
    assert SECRET not in shown
    assert recpipe(lake, monkeypatch, "--from", "2024-01-02", "--to", "2024-01-02")


def test_json_tells_the_same_figures(lake, monkeypatch):
    told = json.loads(recpipe(lake, monkeypatch, "--json"))
    assert told == json.loads(json.dumps(quality_json(quality(lake)), default=str))
    assert told["total"]["read"] == 35
    assert told["days"][2]["reasons"][0]["examples"][0]["line_number"] == 2
    assert SECRET not in json.dumps(told)


def test_a_page_is_written_to_the_file(lake, monkeypatch, tmp_path):
    assert "Wrote" in recpipe(lake, monkeypatch, "--html", str(tmp_path / "q.html"))
    assert (tmp_path / "q.html").read_text() == quality_page(quality(lake))
