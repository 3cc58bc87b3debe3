import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pyspark.sql import functions as F

from recpipe import audit as audit_module
from recpipe.arrival_figures import ArrivalFigures
from recpipe.audit import audit
from recpipe.audit_log import kept_audits, write_audits
from recpipe.errors import UserError
from recpipe.expectations import expectations_of
from recpipe.settings import AuditSettings
from recpipe.tables import EVENTS, ITEM_FEATURES, ITEM_INDEX, ITEMS, RECOMMENDATIONS, REVIEWS, USER_FEATURES
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, item, item_feature, recommendation, review, user_feature

USER = user_feature("U1", history=[1, 2], history_days=[1, 2], history_types=[4, 4], seen=[1, 2])
NUMBERED = {"first_arrived_on": MONDAY, "item_id": "a", "item_index": 0}


def failure(table, staged, rows=None, first=MONDAY, last=MONDAY):
    with pytest.raises(UserError) as raised:
        audit(table, staged, staged.count() if rows is None else rows, first, last).require()
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"table {table.name}, 2024-01-01: the audit failed, nothing was written: ")
    return message.partition("written: ")[2]


def test_a_good_frame_meets_every_expectation(spark):
    audited = audit(USER_FEATURES, frame(spark, USER_FEATURES, USER), 1, MONDAY, MONDAY)
    audited.require()
    assert audited.met == audited.expected == len(list(expectations_of(USER_FEATURES, 1, MONDAY, MONDAY))) > 15


def test_every_fault_is_named_at_once_with_what_was_expected_and_found(spark):
    rows = [{**USER, "user_id": f"U{n}"} for n in range(8)]
    rows[0]["rating_mean"] = float("nan")
    rows[1]["rating_mean"] = 5.5
    rows[2]["user_id"] = None
    rows[3]["history"] = [1, -1]
    rows[4]["history_days"] = [1, None]
    rows[5]["history"] = None
    rows[6]["ds"] = TUESDAY
    rows[7]["interaction_count"] = 0
    said = failure(USER_FEATURES, frame(spark, USER_FEATURES, *rows)).split("; ")
    assert sorted(said) == sorted(
        [
            "expect_column_values_to_not_be_null(column=user_id): found 1 other rows of 8, such as None",
            "expect_column_values_to_not_be_null(column=history): found 1 other rows of 8, such as None",
            "expect_column_values_to_be_between(column=ds, min_value=2024-01-01, max_value=2024-01-01): "
            "found 1 other rows of 8, such as 2024-01-02",
            "expect_column_values_to_be_between(column=least of history, min_value=0.0, max_value=2147483647.0): "
            "found 1 other rows of 8, such as -1",
            "expect_column_values_to_be_between(column=interaction_count, min_value=1.0, "
            "max_value=9007199254740992.0): found 1 other rows of 8, such as 0",
            "expect_column_values_to_be_between(column=rating_mean, min_value=0.5, max_value=5.0): "
            "found 2 other rows of 8, such as nan, 5.5",
            "expect_column_values_to_be_between(column=nulls in history_days, min_value=0.0, max_value=0.0): "
            "found 1 other rows of 8, such as 1",
        ]
    )


def test_e09_a_key_that_stands_twice_is_named_and_a_word_that_is_not_allowed(spark):
    rows = [recommendation("U1", 1, item_id, source=source) for item_id, source in (("a", "guessed"), ("b", "popular"))]
    said = failure(RECOMMENDATIONS, frame(spark, RECOMMENDATIONS, *rows))
    assert "column=source, value_set=['two_tower', 'popular']): found 1 other rows of 2, such as guessed" in said
    assert "compound_columns_to_be_unique(column_list=['ds', 'user_id', 'rank']" in said
    assert "U1" in said.partition("column_list=")[2].partition("such as ")[2]
    said = failure(ITEM_INDEX, frame(spark, ITEM_INDEX, NUMBERED, {**NUMBERED, "item_index": 1}))
    assert "values_to_be_unique(column=item_id): found 2 other rows of 2, such as a, a" in said


def test_g07_a_frame_without_rows_passes_only_where_a_table_may_be_empty(spark):
    assert failure(USER_FEATURES, frame(spark, USER_FEATURES)) == (
        "expect_table_row_count_to_be_between(min_value=1): found 0"
    )
    assert not audit(REVIEWS, frame(spark, REVIEWS), 0, MONDAY, MONDAY).faults


def test_rows_lost_on_the_way_are_noticed(spark):
    said = failure(REVIEWS, frame(spark, REVIEWS, review("U1", "a")), rows=2)
    assert said.startswith("expect_table_row_count_to_equal(value=2): found 1; ")


def test_nullable_columns_may_be_null_but_not_nan(spark):
    good = frame(spark, ITEM_FEATURES, item_feature("a", 0))
    assert not audit(ITEM_FEATURES, good, 1, MONDAY, MONDAY).faults
    spoiled = good.withColumns(dict.fromkeys(("rating_mean", "price"), F.lit(float("nan"))))
    without_a_range = {name: range_ for name, range_ in ITEM_FEATURES.ranges.items() if name != "price"}
    said = failure(replace(ITEM_FEATURES, ranges=without_a_range), spoiled)
    assert "column=rating_mean" in said
    assert "column=price" in said


def test_g10_an_expectation_that_cannot_be_evaluated_fails_the_audit(spark):
    said = failure(ITEM_INDEX, frame(spark, ITEM_INDEX, NUMBERED).drop("item_index"))
    assert "column=item_index): found an error: " in said


def test_g10_an_audit_that_gives_too_few_results_fails(spark, monkeypatch):
    validate = audit_module.validate
    monkeypatch.setattr(audit_module, "validate", lambda frame, all_, detail: validate(frame, all_[:-1], detail))
    said = failure(ITEM_INDEX, frame(spark, ITEM_INDEX, NUMBERED))
    count = len(list(expectations_of(ITEM_INDEX, 1, MONDAY, MONDAY)))
    assert said == f"expected {count} results, found {count - 1}"


def at(day, **values):
    return {"reviewed_at": datetime(2024, 1, day, 12, tzinfo=UTC), "arrived_on": date(2024, 1, day), **values}


@pytest.fixture
def of_arrivals_alone(monkeypatch):
    """Leaves out what the contract expects of each row, which takes most of an audit's time."""
    return lambda: monkeypatch.setattr(audit_module, "expectations_of", lambda *_: [])


def test_an_old_arrival_warns_or_stops_as_the_settings_say(spark, of_arrivals_alone):
    late = {"arrived_on": date(2024, 1, 31)}
    rows = [review("U1", "a", **at(2)), review("U1", "b", **{**at(3), **late}), review("U2", "b", **{**at(9), **late})]
    staged, days = frame(spark, REVIEWS, *rows), (MONDAY, date(2024, 1, 31))
    warns = audit(REVIEWS, staged, 3, *days)
    assert (warns.faults, warns.met) == ((), warns.expected - 1)
    assert warns.warnings == ("the newest reviewed_at is more than 7 days old (2024-01-31: 22 days)",)
    of_arrivals_alone()
    assert not audit(REVIEWS, staged, 3, *days, settings=AuditSettings(max_age_days=22)).warnings
    stops = audit(REVIEWS, staged, 3, *days, settings=AuditSettings(freshness="stop"))
    assert (stops.faults, stops.warnings) == (warns.warnings, ())
    event = {"user_id": "U1", "item_id": "a", "event_type": "view", "occurred_at": datetime(2023, 1, 1, tzinfo=UTC)}
    events = frame(spark, EVENTS, {**event, "arrived_on": MONDAY})
    assert "newest occurred_at" in audit(EVENTS, events, 1, MONDAY, MONDAY).warnings[0]


def test_b05_a_column_filled_less_than_in_the_arrivals_before_warns_or_stops(spark, of_arrivals_alone):
    sealed = [ArrivalFigures(date(2023, 12, day), 500, None, (500, 450, 0)) for day in (30, 31)]
    good = {"categories": ["Mugs"], "price": 5.0}
    rows = [item(f"a{n}", "t", **good) for n in range(20)]
    rows += [item(f"a{n}", "t", arrived_on=TUESDAY, **(good if n < 8 else {"price": float(n)})) for n in range(20)]
    staged = frame(spark, ITEMS, *rows)
    warns = audit(ITEMS, staged, 40, MONDAY, TUESDAY, sealed=sealed)
    assert warns.faults == ()
    assert warns.warnings == (
        "categories is filled less often than in the arrivals before (2024-01-02: 40.0%, expected at least 90.0%)",
    )
    of_arrivals_alone()
    assert not audit(
        ITEMS, staged, 40, MONDAY, TUESDAY, sealed=sealed, settings=AuditSettings(max_fill_drop=0.7)
    ).warnings
    stops = audit(ITEMS, staged, 40, MONDAY, TUESDAY, sealed=sealed, settings=AuditSettings(fill_rates="stop"))
    assert stops.faults == warns.warnings
    empty = frame(spark, REVIEWS, review("U1", "a", text=""))
    text = [ArrivalFigures(date(2023, 12, 31), 9, None, (9,))]
    assert "text is filled less often" in audit(REVIEWS, empty, 1, MONDAY, MONDAY, sealed=text).warnings[0]


def test_g10_a_warning_that_cannot_be_evaluated_stops(spark, monkeypatch):
    monkeypatch.setattr(audit_module, "checked_figures", lambda *_: [{"arrived_on": "2024-01-01"}])
    assert "found an error: " in failure(EVENTS, frame(spark, EVENTS))


def test_g09_two_audits_at_once_keep_their_pages_apart_and_show_no_values(spark, tmp_path):
    def run(number):
        with kept_audits():
            staged = frame(spark, REVIEWS, *[review(f"SECRET{number}", "a", text="SECRET words", rating=9.0)] * number)
            return audit(REVIEWS, staged, number, MONDAY, MONDAY)

    with ThreadPoolExecutor(2) as pool:
        audits = list(pool.map(run, (2, 3)))
    assert [audited.validated.meta["rows"] for audited in audits] == [2, 3]
    assert all("SECRET" in str(audited.faults) for audited in audits)
    for audited in audits:
        write_audits([audited], tmp_path / "2024-01-01", "ingest_reviews-a:b", datetime.now(UTC), 9)
    folders = sorted(tmp_path.glob("*/*"))
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["ingest_reviews-a_b"] * 2
    for folder, rows in zip(folders, (2, 3), strict=True):
        assert sorted(path.name for path in folder.iterdir()) == ["01-reviews.html", "01-reviews.json", "index.html"]
        assert 'href="01-reviews.html"' in (folder / "index.html").read_text()
        page = (folder / "01-reviews.html").read_text()
        assert 'href="index.html"' in page
        assert 'href="../' not in page.replace('href="../../../static/images/favicon.ico"', "")
        assert "values must never be null" in page
        told = json.loads((folder / "01-reviews.json").read_text())
        assert (told["success"], told["meta"]["rows"]) == (False, rows)
        [unique] = [one for one in told["results"] if "unique" in one["expectation_config"]["type"]]
        assert unique["result"]["unexpected_count"] == rows
        assert "SECRET" not in "".join(path.read_text() for path in folder.iterdir())
