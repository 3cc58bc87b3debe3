from datetime import UTC, date, datetime

from recpipe.lake import conform
from recpipe.tables import REVIEWS, USER_FEATURES
from recpipe.transforms.user_features import user_features
from tests.frames import frame, met
from tests.rows import WEDNESDAY, review

EPOCH = date(1970, 1, 1)


def features(spark, *rows, history_length=50):
    made = user_features(frame(spark, REVIEWS, *rows), met(spark, *rows), WEDNESDAY, history_length)
    return {row.user_id: row for row in conform(USER_FEATURES, made).collect()}


def at(day):
    return datetime(2024, 1, day, 12, tzinfo=UTC)


def test_a_history_is_the_last_items_oldest_first_with_their_days(spark):
    rows = [review("U1", item, reviewed_at=at(day)) for item, day in (("a", 3), ("b", 1), ("c", 2))]
    found = features(spark, *rows, history_length=2)["U1"]
    assert found.history == [2, 0]
    assert found.history_days == [(date(2024, 1, day) - EPOCH).days for day in (2, 3)]
    assert found.ds == WEDNESDAY


def test_a_repeated_review_counts_but_stands_once_in_the_history(spark):
    rows = [review("U1", "a", reviewed_at=at(1), rating=1.0), review("U1", "a", reviewed_at=at(3), rating=4.0)]
    found = features(spark, *rows)["U1"]
    assert (found.history, found.review_count, found.rating_mean) == ([0], 2, 2.5)
    assert found.last_reviewed_on == date(2024, 1, 3)


def test_half_stars_are_kept(spark):
    rows = [review("U1", item, rating=rating) for item, rating in (("a", 4.5), ("b", 5.0), ("c", 5.0))]
    assert features(spark, *rows)["U1"].rating_mean == 14.5 / 3


def test_every_user_with_a_review_has_a_row(spark):
    assert features(spark, review("U1", "a"), review("U2", "a")).keys() == {"U1", "U2"}
