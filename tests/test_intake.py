import pytest

from recpipe.arriving import Arriving, ArrivingFile
from recpipe.errors import UserError
from recpipe.intake import WRONG_UNIT, Intake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY


def lines(count, kind="reviews", arrived_on=MONDAY, file="r.json", first_lines=(1,), **fate):
    fate = {"fate": "rejected" if "reason" in fate else "accepted", "reason": None, "notes": None, **fate}
    return (arrived_on, kind, file, *fate.values(), count, first_lines)


def intake(*rows, last=MONDAY, not_read=()):
    files = [
        ArrivingFile(*name, None, "", False, "", (None,)) for name in {(row[0], row[1], row[2], row[2]) for row in rows}
    ]
    return Intake.of(Arriving(MONDAY, last, files, not_read), rows)


def test_it_says_every_count():
    took_in = intake(
        lines(7),
        lines(1, reason="bad_rating"),
        lines(2, fate="duplicates"),
        lines(3, "items", TUESDAY, notes=["unreadable_price"]),
        lines(2, "items", TUESDAY, reason="missing_item"),
        last=WEDNESDAY,
    )
    assert took_in.lines_read == 15
    assert str(took_in) == (
        "took in 2024-01-01 to 2024-01-03: 15 lines of 2 files = 10 accepted + 3 rejected + 2 duplicates; rejected: "
        "1 bad_rating, 2 missing_item; left empty or replaced: 3 unreadable_price; nothing arrived on 2024-01-03"
    )


def test_lines_of_erased_users_are_said_and_no_rows():
    took_in = intake(lines(7), lines(2, fate="erased"))
    assert "9 lines of 1 files = 7 accepted + 0 rejected + 0 duplicates + 2 of erased users" in str(took_in)
    took_in.require_sums({"reviews": 7})


def test_a_day_on_which_nothing_arrived_is_said():
    assert str(intake()) == (
        "took in 2024-01-01: 0 lines of 0 files = 0 accepted + 0 rejected + 0 duplicates; nothing arrived on 2024-01-01"
    )


def test_a_file_that_had_arrived_before_is_named_and_not_counted_as_read():
    files = [
        ArrivingFile(TUESDAY, "reviews", None, name, None, "", False, "", (None,), same_as=same_as)
        for name, same_as in (("a.json", None), ("b.json", "2024-01-01/r.json"), ("c.json", "2024-01-02/a.json"))
    ]
    said = str(Intake.of(Arriving(TUESDAY, TUESDAY, files[:2], ()), [lines(3, arrived_on=TUESDAY, file="a.json")]))
    assert said.startswith("took in 2024-01-02: 3 lines of 1 files = 3 accepted")
    assert said.endswith(
        "; 1 file had arrived before and is not read again: reviews/2024-01-02/b.json (as 2024-01-01/r.json)"
    )
    assert "; 2 files had arrived before and are not read again: reviews/" in str(
        Intake.of(Arriving(TUESDAY, TUESDAY, files, ()), ())
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


def test_rows_that_were_written_add_up_to_the_lines():
    took_in = intake(
        lines(7),
        lines(1, reason="bad_rating"),
        lines(2, fate="duplicates"),
        lines(3, "items"),
        lines(2, "items", reason="x"),
    )
    rows = {"reviews": 7, "items": 3, "rejected_rows": 3, "item_index": 12}
    took_in.require_sums(rows)
    for table in ("reviews", "items", "rejected_rows"):
        with pytest.raises(RuntimeError, match="rows by the counts of lines"):
            took_in.require_sums({**rows, table: 4})
    intake().require_sums({"reviews": 0, "items": 0, "rejected_rows": 0})
