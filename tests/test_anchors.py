from datetime import date

import pytest

from recpipe import delta
from recpipe.anchors import anchor_days, cut_day, cut_days, require_known, without_examples
from recpipe.errors import UserError
from recpipe.tables import ARRIVALS, ERASED_USERS, EVENTS, MODEL_VERDICTS, REVIEWS
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, erased, event, review, verdict


@pytest.fixture
def root(tmp_path):
    empty_lake(tmp_path)
    return tmp_path


def seal(root, *rows):
    delta.replace(root, ARRIVALS, list(rows))


@pytest.mark.parametrize(
    ("counts", "share", "cut"),
    [
        ({MONDAY: 8, TUESDAY: 1, WEDNESDAY: 1}, 0.1, TUESDAY),
        ({MONDAY: 8, TUESDAY: 1, WEDNESDAY: 1}, 0.11, MONDAY),
        ({MONDAY: 5, WEDNESDAY: 5}, 0.1, TUESDAY),  # the latest such day, though nothing happened on it
        ({WEDNESDAY: 1, MONDAY: 9}, 0.1, TUESDAY),
        ({MONDAY: 1, TUESDAY: 99}, 0.1, MONDAY),
        ({MONDAY: 10}, 0.1, None),
        ({MONDAY: 1, TUESDAY: 1}, 0.6, None),
        ({}, 0.1, None),
    ],
)
def test_the_cut_is_the_latest_day_with_enough_interactions_after_it(counts, share, cut):
    assert cut_day(counts, share) == cut


def test_anchor_days_start_at_the_first_arrival_and_end_by_ds():
    days = anchor_days(date(2024, 1, 1), date(2024, 1, 15), every_days=7)
    assert days == [date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 15)]
    assert anchor_days(MONDAY, MONDAY, 7) == [MONDAY]


def test_cuts_follow_one_another_each_within_what_lies_up_to_the_one_before():
    counts = {MONDAY: 8, TUESDAY: 1, WEDNESDAY: 1}
    assert cut_days(counts, 0.1, count=2) == [TUESDAY, MONDAY]
    assert cut_days(counts, 0.1, count=3) == [TUESDAY, MONDAY]
    assert cut_days(counts, 0.11, count=1) == [MONDAY]
    assert cut_days({}, 0.1, count=2) == []


def always(day: date) -> bool:
    return True


def never(day: date) -> bool:
    return False


def test_an_undecided_anchor_and_the_one_before_it_need_examples_as_they_would_be_made_now(root):
    anchors = [MONDAY, TUESDAY, WEDNESDAY]
    assert without_examples(root, anchors, never) == [(None, MONDAY), (MONDAY, TUESDAY), (TUESDAY, WEDNESDAY)]
    delta.append(root, MODEL_VERDICTS, [verdict(ds=MONDAY), verdict(ds=TUESDAY)])
    assert without_examples(root, anchors, never) == [(MONDAY, TUESDAY), (TUESDAY, WEDNESDAY)]
    assert without_examples(root, anchors, lambda day: day == TUESDAY) == [(TUESDAY, WEDNESDAY)]
    assert without_examples(root, anchors, always) == []


def test_decided_anchors_need_no_examples(root):
    delta.append(root, MODEL_VERDICTS, [verdict(ds=MONDAY), verdict(ds=TUESDAY)])
    assert without_examples(root, [MONDAY, TUESDAY], never) == []


def test_known_is_what_arrived_up_to_ds(root):
    items = arrival(kind="items", accepted=3, lines_read=3, rejected=0, duplicates=0)
    seal(root, arrival(), items, arrival(arrived_on=TUESDAY), arrival(arrived_on=WEDNESDAY))
    delta.append(root, REVIEWS, [review("ann", "a")])
    assert require_known(root, MONDAY) == (MONDAY, 7, 0, 10)
    assert require_known(root, TUESDAY) == (MONDAY, 14, 0, 7)


def test_a_day_without_files_is_known_and_nothing_arrived_on_it(root):
    none = dict.fromkeys(("lines_read", "accepted", "rejected", "duplicates"), 0)
    seal(root, arrival(), arrival(arrived_on=TUESDAY, kind="none", file="", **none))
    delta.append(root, REVIEWS, [review("ann", "a")])
    assert require_known(root, TUESDAY) == (MONDAY, 7, 0, 0)


def test_a_day_that_is_not_sealed_is_refused(root):
    for day in (MONDAY, TUESDAY):
        with pytest.raises(UserError, match=f"found its arrivals not sealed; run ingest_reviews for {day}"):
            require_known(root, day)
        seal(root, arrival())


def test_a_shop_with_events_alone_is_known(root):
    seal(root, arrival(kind="events"))
    delta.append(root, EVENTS, [event("ann", "a")])
    assert require_known(root, MONDAY) == (MONDAY, 0, 7, 7)


def test_days_without_a_review_or_an_event_of_users_who_are_not_erased_are_refused(root):
    seal(root, arrival(), arrival(arrived_on=TUESDAY))
    delta.append(root, REVIEWS, [review("gone", "a"), review("ann", "a", arrived_on=TUESDAY)])
    assert require_known(root, MONDAY) == (MONDAY, 7, 0, 7)
    delta.append(root, ERASED_USERS, [erased("gone")])
    with pytest.raises(UserError, match=r"expected reviews or events, of .* up to 2024-01-01, found none"):
        require_known(root, MONDAY)
    assert require_known(root, TUESDAY) == (MONDAY, 14, 0, 7)
    delta.replace(root, REVIEWS, [])
    with pytest.raises(UserError, match="up to 2024-01-02, found none"):
        require_known(root, TUESDAY)
