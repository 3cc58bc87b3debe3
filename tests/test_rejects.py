import json

import pytest

from recpipe.arriving import arriving_files
from recpipe.errors import UserError
from recpipe.intake import Intake
from recpipe.reject_reports import acceptance_file, read_report, report_file
from recpipe.rejects import RejectLimit, accept, stopped_days
from tests.raw_lines import landed, review_2023
from tests.rows import MONDAY, TUESDAY, WEDNESDAY


@pytest.fixture
def limit(tmp_path):
    landing = tmp_path / "landing"
    landed(landing, "reviews", "2024-01-01", "good.json", review_2023(user_id="U0"))
    landed(landing, "reviews", "2024-01-02", "a.json", review_2023(user_id="U1"))
    landed(landing, "items", "2024-01-02", "b.json", b'{"parent_asin": "I1", "title": "Secret"}')
    return RejectLimit(0.01, tmp_path / "reports", landing)


def lines(count, day=TUESDAY, kind="reviews", file="a.json", first_lines=(1,), **fate):
    fate = {"fate": "rejected" if "reason" in fate else "accepted", "reason": None, "notes": None, **fate}
    return (day, kind, file, *fate.values(), count, first_lines)


STOPPED = (
    lines(1, MONDAY, file="good.json"),
    lines(95),
    lines(1, first_lines=(50,), reason="bad_rating"),
    lines(2, first_lines=(17, 90), reason="bad_rating", notes=["wrong_unit"]),
    lines(99, kind="items", file="b.json", fate="duplicates"),
    lines(3, kind="items", file="b.json", first_lines=(9, 11, 12), reason="not_json"),
)
FEW = (lines(1, MONDAY, file="good.json"), lines(95), lines(100, kind="items", file="b.json"))


def judge(limit, *outcomes, ds=TUESDAY):
    limit.require_few_rejects(Intake.of(arriving_files(limit.landing, set(), ds), outcomes))


def refusal(limit, *outcomes, ds=TUESDAY):
    with pytest.raises(UserError) as error:
        judge(limit, *outcomes, ds=ds)
    assert "\n" not in str(error.value)
    return str(error.value)


def refused_acceptance(limit, day=TUESDAY, sealed=()):
    with pytest.raises(UserError) as error:
        accept(day, limit.reports, limit.landing, sealed)
    assert not acceptance_file(limit.landing, day).exists()
    return str(error.value)


def test_a_day_with_too_many_rejects_stops_the_run_with_its_files_and_both_ways_out(limit):
    assert refusal(limit, *STOPPED) == (
        "arrival 2024-01-02: expected at most 1.00% of the lines to be rejected, found 3.00% (6 of 200): "
        "items/b.json: 3 not_json (first in line 9); reviews/a.json: 3 bad_rating (first in line 17); nothing was "
        f"taken in, see {report_file(limit.reports, TUESDAY)}: repair the files, or take them in as they are by "
        "`recpipe accept 2024-01-02`, and run again"
    )


def test_a_share_at_the_limit_passes_and_keeps_nothing(limit):
    judge(RejectLimit(0.03, limit.reports, limit.landing), *STOPPED)
    assert not report_file(limit.reports, TUESDAY).exists()


def test_the_kept_report_tells_every_count_and_the_first_lines_but_no_text(limit):
    refusal(limit, *STOPPED)
    text = report_file(limit.reports, TUESDAY).read_text()
    report = json.loads(text)
    assert {name: report[name] for name in ("read", "accepted", "rejected", "duplicates")} == {
        "read": 200,
        "accepted": 95,
        "rejected": 6,
        "duplicates": 99,
    }
    items, reviews = report["files"]
    assert (items["kind"], items["file"], len(items["sha256"])) == ("items", "b.json", 64)
    assert items["reasons"] == {"not_json": {"lines": 3, "first_lines": [9, 11, 12]}}
    assert reviews["reasons"] == {"bad_rating": {"lines": 3, "first_lines": [17, 50, 90]}}
    assert "Secret" not in text
    assert not report_file(limit.reports, MONDAY).exists()


def test_every_day_over_the_limit_has_a_report(limit):
    rejected = [lines(1, day, file=file, reason="x") for day, file in ((MONDAY, "good.json"), (TUESDAY, "a.json"))]
    assert refusal(limit, *rejected).endswith("; 1 more days are over the limit")
    assert all(report_file(limit.reports, day).exists() for day in (MONDAY, TUESDAY))


def test_a_message_names_a_few_files_and_says_how_many_more_there_are(limit):
    for number in range(9):
        landed(limit.landing, "reviews", "2024-01-02", f"n{number}.json", review_2023())
    assert "n3.json: 1 x (first in line 1) and 5 more; nothing" in refusal(
        limit, *(lines(1, file=f"n{number}.json", reason="x") for number in range(9)), lines(1, reason="x")
    )


def test_an_accepted_day_passes(limit):
    refusal(limit, *STOPPED)
    accept(TUESDAY, limit.reports, limit.landing, {MONDAY})
    assert json.loads(acceptance_file(limit.landing, TUESDAY).read_text())["files"][0]["rejected"] == {"not_json": 3}
    judge(limit, *STOPPED)
    assert not report_file(limit.reports, TUESDAY).exists()
    judge(limit, *STOPPED)  # again, as after a crash or for a lake that is built anew


def test_only_files_with_rejects_need_to_be_accepted(limit):
    refusal(limit, *FEW, lines(5, reason="x"))
    accept(TUESDAY, limit.reports, limit.landing, ())
    landed(limit.landing, "items", "2024-01-02", "b.json", b'{"parent_asin": "I2"}')
    judge(limit, *FEW, lines(5, reason="x"))
    assert "items/b.json: 9 not_json" in refusal(
        limit, *FEW, lines(5, reason="x"), lines(9, kind="items", file="b.json", reason="not_json")
    )


def test_a_file_that_changed_after_it_was_accepted_is_judged_anew(limit):
    refusal(limit, *STOPPED)
    accept(TUESDAY, limit.reports, limit.landing, ())
    landed(limit.landing, "reviews", "2024-01-02", "a.json", review_2023(user_id="U7"))
    refusal(limit, *STOPPED)
    assert read_report(limit.reports, TUESDAY).rejected == 6


def test_an_accepted_file_that_is_read_otherwise_since_is_judged_anew(limit):
    refusal(limit, *STOPPED)
    accept(TUESDAY, limit.reports, limit.landing, ())
    assert "100 missing_user" in refusal(limit, *STOPPED, lines(100, reason="missing_user"))
    assert stopped_days(limit.reports, limit.landing)[TUESDAY].startswith("stopped: 106 of 300")


def test_a_repaired_day_enters_and_its_report_goes(limit):
    refusal(limit, *STOPPED)
    judge(limit, *FEW)
    assert not report_file(limit.reports, TUESDAY).exists()


def test_a_day_that_was_not_stopped_or_is_sealed_cannot_be_accepted(limit):
    assert "run `recpipe run ingest_reviews --ds 2024-01-02` first" in refused_acceptance(limit)
    refusal(limit, *STOPPED)
    assert "found 2024-01-02 taken in already" in refused_acceptance(limit, sealed={TUESDAY})


@pytest.mark.parametrize("change", ["another", "gone", "new"])
def test_files_that_changed_since_the_report_cannot_be_accepted(limit, change):
    refusal(limit, *STOPPED)
    folder = limit.landing / "reviews" / "arrived_on=2024-01-02"
    name = "new.json" if change == "new" else "a.json"
    (folder / name).unlink(missing_ok=True)
    if change != "gone":
        (folder / name).write_bytes(review_2023(user_id="U9"))
    assert f"found others: reviews/{name}; run" in refused_acceptance(limit)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 10_000, '{"arrived_on": "2024-01-01", "files": []}'])
def test_an_acceptance_that_is_none_of_ours_is_refused(limit, text):
    acceptance_file(limit.landing, TUESDAY).parent.mkdir()
    acceptance_file(limit.landing, TUESDAY).write_text(text)
    assert "arrived_on=2024-01-02.json" in refusal(limit, *STOPPED)


def test_a_day_without_files_any_more_has_no_report_any_more(limit):
    landed(limit.landing, "reviews", "2024-01-03", "c.json", review_2023(user_id="U9"))
    refusal(limit, *FEW, lines(5, WEDNESDAY, file="c.json", reason="x"), ds=WEDNESDAY)
    (limit.landing / "reviews" / "arrived_on=2024-01-03" / "c.json").unlink()
    judge(limit, *FEW, ds=TUESDAY)
    assert set(stopped_days(limit.reports, limit.landing)) == {WEDNESDAY}  # a run for Tuesday does not look at it
    judge(limit, *FEW, ds=WEDNESDAY)
    assert stopped_days(limit.reports, limit.landing) == {}


def test_a_stopped_day_is_told_until_it_is_taken_in(limit):
    refusal(limit, *STOPPED)
    path = report_file(limit.reports, TUESDAY)
    assert stopped_days(limit.reports, limit.landing) == {TUESDAY: f"stopped: 6 of 200 rejected, see {path}"}
    accept(TUESDAY, limit.reports, limit.landing, ())
    assert stopped_days(limit.reports, limit.landing) == {TUESDAY: "accepted: 6 of 200 rejected, to be run again"}
