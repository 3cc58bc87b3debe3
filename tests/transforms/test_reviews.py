import itertools

import pytest
from pyspark.sql import functions as F

from recpipe.tables import REVIEWS
from recpipe.transforms.reviews import mark_duplicate_reviews, reviews
from tests.transforms.marked_lines import review_lines


def kept(spark, *lines):
    return [row.asDict() for row in reviews(mark_duplicate_reviews(review_lines(spark, *lines))).collect()]


def test_b06_of_two_equal_lines_one_is_kept_and_the_other_counts_as_a_duplicate(spark):
    marked = mark_duplicate_reviews(review_lines(spark, {"line_number": 1}, {"line_number": 2}))
    assert [(row.line_number, row.is_duplicate) for row in marked.sort("line_number").collect()] == [
        (1, False),
        (2, True),
    ]
    assert reviews(marked).columns == list(REVIEWS.column_names)
    assert reviews(marked).count() == 1


@pytest.mark.parametrize("order", list(itertools.permutations([3, None, 5])))
def test_b06_the_highest_vote_is_kept_in_whatever_order_lines_come(spark, order):
    [row] = kept(spark, *({"vote": vote, "line_number": place} for place, vote in enumerate(order, 1)))
    assert row["vote"] == 5


def test_b06_with_equal_votes_the_same_text_is_kept_in_whatever_order_lines_come(spark):
    texts = [{"text": text, "vote": 1} for text in ("one", "two", None)]
    found = [kept(spark, *lines) for lines in itertools.permutations(texts)]
    assert len(found) == 6
    assert all(rows == found[0] and len(rows) == 1 for rows in found)


@pytest.mark.parametrize(
    "other", [{"user_id": "U2"}, {"item_id": "I2"}, {"reviewed_at": 7}, {"arrived_on": "2024-01-02"}]
)
def test_b06_another_user_item_time_or_arrival_is_another_review(spark, other):
    assert len(kept(spark, {}, other)) == 2


def test_b06_copies_in_two_files_of_one_arrival_are_duplicates(spark):
    marked = mark_duplicate_reviews(review_lines(spark, {"file": "b.json"}, {"file": "a.json"}))
    assert [row.file for row in marked.filter("is_duplicate").collect()] == ["b.json"]


def test_rejected_lines_are_neither_reviews_nor_duplicates(spark):
    bad = {name: None for name in REVIEWS.column_names if name != "arrived_on"} | {"reason": "bad_rating"}
    marked = mark_duplicate_reviews(review_lines(spark, {}, bad, {**bad, "line_number": 2}))
    assert marked.filter("is_duplicate").count() == 0
    assert marked.filter(F.col("is_duplicate").isNull()).count() == 0
    assert reviews(marked).count() == 1
