import pytest
from pyspark.sql import functions as F

from recpipe import expectations
from recpipe.errors import UserError
from recpipe.expectations import audit, expectations_of
from recpipe.tables import ITEM_FEATURES, ITEM_INDEX, RECOMMENDATIONS, REVIEWS, USER_FEATURES
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, recommendation, review

USER = {"ds": MONDAY, "user_id": "U1", "history": [1, 2], "history_days": [1, 2], "review_count": 2}
USER |= {"rating_mean": 4.0, "last_reviewed_on": MONDAY}


def failure(table, staged, rows=None, first=MONDAY, last=MONDAY):
    with pytest.raises(UserError) as raised:
        audit(table, staged, staged.count() if rows is None else rows, first, last)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"table {table.name}, 2024-01-01: the audit failed, nothing was written: ")
    return message.partition("written: ")[2]


def test_a_good_frame_meets_every_expectation(spark):
    met = audit(USER_FEATURES, frame(spark, USER_FEATURES, USER), 1, MONDAY, MONDAY)
    assert met == len(list(expectations_of(USER_FEATURES, 1, MONDAY, MONDAY))) > 15


def test_every_fault_is_named_at_once_with_what_was_expected_and_found(spark):
    rows = [{**USER, "user_id": f"U{n}"} for n in range(8)]
    rows[0]["rating_mean"] = float("nan")
    rows[1]["rating_mean"] = 5.5
    rows[2]["user_id"] = None
    rows[3]["history"] = [1, -1]
    rows[4]["history_days"] = [1, None]
    rows[5]["history"] = None
    rows[6]["ds"] = TUESDAY
    rows[7]["review_count"] = 0
    said = failure(USER_FEATURES, frame(spark, USER_FEATURES, *rows)).split("; ")
    assert sorted(said) == sorted(
        [
            "expect_column_values_to_not_be_null(column=user_id): found 1 other rows of 8, such as None",
            "expect_column_values_to_not_be_null(column=history): found 1 other rows of 8, such as None",
            "expect_column_values_to_be_between(column=ds, min_value=2024-01-01, max_value=2024-01-01): "
            "found 1 other rows of 8, such as 2024-01-02",
            "expect_column_values_to_be_between(column=least of history, min_value=0.0, max_value=2147483647.0): "
            "found 1 other rows of 8, such as -1",
            "expect_column_values_to_be_between(column=review_count, min_value=1.0, max_value=9007199254740992.0): "
            "found 1 other rows of 8, such as 0",
            "expect_column_values_to_be_between(column=rating_mean, min_value=1.0, max_value=5.0): "
            "found 2 other rows of 8, such as nan, 5.5",
            "expect_column_values_to_be_between(column=nulls in history_days, min_value=0.0, max_value=0.0): "
            "found 1 other rows of 8, such as 1",
        ]
    )


def test_a_word_that_is_not_allowed_is_named(spark):
    said = failure(RECOMMENDATIONS, frame(spark, RECOMMENDATIONS, recommendation("U1", 1, "a", source="guessed")))
    assert "column=source, value_set=['two_tower', 'popular']): found 1 other rows of 1, such as guessed" in said


def test_e09_a_key_that_stands_twice_is_named(spark):
    twice = frame(spark, USER_FEATURES, USER, {**USER, "review_count": 3})
    assert "compound_columns_to_be_unique(column_list=['ds', 'user_id']" in failure(USER_FEATURES, twice)
    rows = [{"first_arrived_on": MONDAY, "item_id": "a", "item_index": number} for number in (0, 1)]
    assert "values_to_be_unique(column=item_id" in failure(ITEM_INDEX, frame(spark, ITEM_INDEX, *rows))


def test_g07_a_frame_without_rows_passes_only_where_a_table_may_be_empty(spark):
    assert failure(USER_FEATURES, frame(spark, USER_FEATURES)) == (
        "expect_table_row_count_to_be_between(min_value=1): found 0"
    )
    assert audit(REVIEWS, frame(spark, REVIEWS), 0, MONDAY, MONDAY) > 0


def test_rows_lost_on_the_way_are_noticed(spark):
    said = failure(REVIEWS, frame(spark, REVIEWS, review("U1", "a")), rows=2)
    assert said == "expect_table_row_count_to_equal(value=2): found 1"


def test_nullable_columns_may_be_null_but_not_nan(spark):
    item = {"ds": MONDAY, "item_id": "a", "item_index": 0, "title": None, "review_count": 0, "review_count_30d": 0}
    good = frame(spark, ITEM_FEATURES, {**item, "rating_mean": None})
    assert audit(ITEM_FEATURES, good, 1, MONDAY, MONDAY) > 0
    assert "column=rating_mean" in failure(ITEM_FEATURES, good.withColumn("rating_mean", F.lit(float("nan"))))


def test_g10_an_expectation_that_cannot_be_evaluated_fails_the_audit(spark):
    said = failure(USER_FEATURES, frame(spark, USER_FEATURES, USER).drop("rating_mean"))
    assert "column=rating_mean): found an error: " in said


def test_g10_an_audit_that_gives_too_few_results_fails(spark, monkeypatch):
    validate = expectations._validate
    monkeypatch.setattr(expectations, "_validate", lambda frame, all_, detail: validate(frame, all_[:-1], detail))
    said = failure(USER_FEATURES, frame(spark, USER_FEATURES, USER))
    count = len(list(expectations_of(USER_FEATURES, 1, MONDAY, MONDAY)))
    assert said == f"expected {count} results, found {count - 1}"
