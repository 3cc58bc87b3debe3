import pytest

from recpipe.arriving import Arriving, ArrivingFile
from recpipe.errors import UserError
from recpipe.intake import WRONG_UNIT, Intake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY


def lines(count, kind="reviews", arrived_on=MONDAY, file="r.json", first_line=1, **fate):
    fate = {"reason": None, "is_duplicate": False, "notes": None, **fate}
    return (arrived_on, kind, file, *fate.values(), count, first_line)


def intake(*rows, last=MONDAY, not_read=()):
    files = [
        ArrivingFile(*name, None, "", False, "", (None,)) for name in {(row[0], row[1], row[2], row[2]) for row in rows}
    ]
    return Intake.of(Arriving(MONDAY, last, files, not_read), rows)


def test_it_says_every_count():
    took_in = intake(
        lines(7),
        lines(1, reason="bad_rating"),
        lines(2, is_duplicate=True),
        lines(3, "items", TUESDAY, notes=["unreadable_price"]),
        lines(2, "items", TUESDAY, reason="missing_item"),
        last=WEDNESDAY,
    )
    assert took_in.lines_read == 15
    assert str(took_in) == (
        "took in 2024-01-01 to 2024-01-03: 15 lines of 2 files = 10 accepted + 3 rejected + 2 duplicates; rejected: "
        "1 bad_rating, 2 missing_item; left empty or replaced: 3 unreadable_price; nothing arrived on 2024-01-03"
    )


def test_a_day_on_which_nothing_arrived_is_said():
    assert str(intake()) == (
        "took in 2024-01-01: 0 lines of 0 files = 0 accepted + 0 rejected + 0 duplicates; nothing arrived on 2024-01-01"
    )


def test_files_that_were_not_read_are_named_but_not_by_the_dozen(tmp_path):
    paths = [tmp_path / "reviews" / "arrived_on=2023-12-31" / f"{n}.json" for n in range(8)]
    assert str(intake(not_read=paths)).endswith(
        "not read, since their day was sealed before they showed up: reviews/arrived_on=2023-12-31/0.json, "
        "reviews/arrived_on=2023-12-31/1.json, reviews/arrived_on=2023-12-31/2.json, "
        "reviews/arrived_on=2023-12-31/3.json, reviews/arrived_on=2023-12-31/4.json and 3 more"
    )


def test_c01_a_file_with_mostly_the_wrong_unit_fails_as_a_whole():
    wrong = {"reason": "dated_before_1995", "notes": [WRONG_UNIT]}
    intake(lines(2), lines(2, **wrong), lines(5, file="other.json")).require_right_units()
    message = r"r\.json: expected dates in the unit of .*, found another one in 3 of 5 lines"
    with pytest.raises(UserError, match=message):
        intake(lines(2), lines(3, **wrong), lines(5, file="other.json")).require_right_units()


def test_too_many_rejects_on_one_day_stop_the_run_and_are_named():
    took_in = intake(
        lines(1000),
        lines(58, "reviews", TUESDAY, "a.json"),
        lines(2, "reviews", TUESDAY, "a.json", 17, reason="bad_rating"),
        lines(39, "items", TUESDAY, "b.json", is_duplicate=True),
        lines(1, "items", TUESDAY, "b.json", 9, reason="not_json"),
    )
    took_in.require_few_rejects(0.03)
    with pytest.raises(UserError) as error:
        took_in.require_few_rejects(0.01)
    assert str(error.value) == (
        "arrival 2024-01-02: expected at most 1.00% of the lines to be rejected, found 3.00% (3 of 100): "
        "items/b.json: 1 not_json (first in line 9); reviews/a.json: 2 bad_rating (first in line 17); nothing was "
        "taken in: mend the files, or accept them by RECPIPE_MAX_REJECTED_SHARE=0.03 for one run"
    )


def test_rejected_pictures_are_told_and_stop_no_day():
    took_in = intake(
        lines(99),
        lines(1, reason="bad_rating"),
        lines(9, "images", file="images", reason="broken_picture"),
        lines(900, "images", file="images"),
    )
    took_in.require_few_rejects(0.01)
    assert "9 broken_picture" in str(took_in)
    with pytest.raises(
        UserError, match=r"found 1\.00% \(1 of 100\): reviews/r\.json: 1 bad_rating \(first in line 1\);"
    ):
        took_in.require_few_rejects(0.009)


@pytest.mark.parametrize(("rejected", "read"), [(1, 3), (2, 3), (3, 3), (7, 9973), (1, 100)])
def test_the_share_that_the_message_names_is_enough(rejected, read):
    took_in = intake(lines(read - rejected), lines(rejected, reason="bad_rating"))
    with pytest.raises(UserError) as error:
        took_in.require_few_rejects(0)
    share = float(str(error.value).rsplit("=", 1)[1].split()[0])
    assert share <= 1
    took_in.require_few_rejects(share)


def test_rows_that_were_written_add_up_to_the_lines():
    took_in = intake(
        lines(7),
        lines(1, reason="bad_rating"),
        lines(2, is_duplicate=True),
        lines(3, "items"),
        lines(2, "items", reason="x"),
    )
    rows = {"reviews": 7, "items": 3, "rejected_rows": 3, "item_index": 12}
    took_in.require_sums(rows)
    for table in ("reviews", "items", "rejected_rows"):
        with pytest.raises(RuntimeError, match="rows by the counts of lines"):
            took_in.require_sums({**rows, table: 4})
    intake().require_sums({"reviews": 0, "items": 0, "rejected_rows": 0})
