from datetime import date, timedelta

import pytest

from recpipe import delta
from recpipe.arrival_figures import ArrivalFigures, checked_figures, least_share, sealed_figures, share_names
from recpipe.tables import ARRIVALS, EVENTS, ITEMS, REVIEWS
from tests.lakes import empty_lake
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, item, review

THURSDAY = WEDNESDAY + timedelta(days=1)


def figures(day, rows, filled):
    return ArrivalFigures(day, rows, day, (filled,))


def test_the_last_sealed_arrivals_before_a_day_are_counted(tmp_path):
    empty_lake(tmp_path)
    days = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
    texts = {MONDAY: ["x"], TUESDAY: ["x", "", None], WEDNESDAY: [None], THURSDAY: ["not sealed"]}
    rows = [review(f"U{n}", "a", arrived_on=day, text=text) for day in days for n, text in enumerate(texts[day])]
    delta.replace(tmp_path, REVIEWS, rows)
    seals = [arrival(arrived_on=day) for day in days[:3]]
    delta.replace(tmp_path, ARRIVALS, [*seals, arrival(arrived_on=THURSDAY, accepted=0)])
    found = sealed_figures(tmp_path, REVIEWS, date(2024, 2, 1), 2)
    assert found == [ArrivalFigures(TUESDAY, 3, None, (1,)), ArrivalFigures(WEDNESDAY, 1, None, (0,))]
    assert [one.arrived_on for one in sealed_figures(tmp_path, REVIEWS, WEDNESDAY, 9)] == [MONDAY, TUESDAY]
    assert sealed_figures(tmp_path, REVIEWS, MONDAY, 9) == []
    assert sealed_figures(tmp_path, REVIEWS, THURSDAY, 0) == []
    assert sealed_figures(tmp_path, EVENTS, THURSDAY, 9) == []


def test_an_empty_list_and_a_missing_price_are_not_filled(tmp_path):
    empty_lake(tmp_path)
    full = {"categories": ["Mugs"], "price": 0.0, "image_url": "https://example.org/a.jpg"}
    delta.replace(tmp_path, ITEMS, [item("a", "t"), item("b", "t", **full)])
    delta.replace(tmp_path, ARRIVALS, [arrival(kind="items")])
    assert sealed_figures(tmp_path, ITEMS, TUESDAY, 9) == [ArrivalFigures(MONDAY, 2, None, (1, 1, 1))]


def test_few_rows_may_differ_by_chance_and_many_may_not():
    before = [figures(MONDAY, 100, 100), figures(TUESDAY, 100, 60)]
    assert least_share(before, 0, 10**12, 0.1) == pytest.approx(0.7, abs=1e-5)
    assert least_share(before, 0, 16, 0.1) == pytest.approx(0.8 - 0.1 - 3 * 0.1)
    assert least_share(before, 0, 1, 0.1) == 0
    assert least_share([], 0, 10, 0.1) is None


def test_a_run_of_many_days_compares_as_many_runs_of_a_day_do():
    days = [figures(MONDAY + timedelta(days=n), 10 + n, 10 - n) for n in range(6)]
    at_once = checked_figures(REVIEWS, days[1:], days[:1], 3, 0.1)
    one_by_one = [
        row for n in range(1, 6) for row in checked_figures(REVIEWS, days[n : n + 1], days[max(0, n - 3) : n], 3, 0.1)
    ]
    assert at_once == one_by_one
    assert len({row[share_names("text")[1]] for row in at_once}) == 5
