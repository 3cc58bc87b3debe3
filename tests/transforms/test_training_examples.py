from datetime import UTC, date, datetime

from pyspark.sql import functions as F

from recpipe.lake import conform
from recpipe.tables import TRAINING_EXAMPLES, TYPE_CODES
from recpipe.transforms.core import each_until
from recpipe.transforms.training_examples import _with_shuffle_key, training_examples
from tests.frames import attributes, met
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, event, review

DAY = {day: (day - date(1970, 1, 1)).days for day in (MONDAY, TUESDAY, WEDNESDAY)}


def seen(user, item, day):
    return review(user, item, reviewed_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def examples(spark, *rows, untils=(WEDNESDAY,), history_length=2, seed=7, known=()):
    told = attributes(spark, **dict(known))
    made = training_examples(each_until(met(spark, *rows, seed=seed), untils), told, WEDNESDAY, history_length, seed)
    return conform(TRAINING_EXAMPLES, made).orderBy("until", "shuffle_key").collect()


def test_a_row_is_a_users_last_items_and_their_days_padded_on_the_left(spark):
    [row] = examples(spark, seen("U1", "b", TUESDAY), seen("U1", "a", MONDAY))
    assert (row.items, row.days, row.length) == ([-1, 0, 1], [0, DAY[MONDAY], DAY[TUESDAY]], 2)
    assert row.ds == WEDNESDAY


def test_every_row_of_a_user_has_the_attributes_of_the_day_and_others_have_none(spark):
    rows = [seen("U1", "a", MONDAY), seen("U1", "b", WEDNESDAY), seen("U2", "a", WEDNESDAY)]
    found = examples(spark, *rows, untils=[TUESDAY, WEDNESDAY], known={"U1": [2, 0, 1], "U9": [1, 1, 1]})
    assert sorted((row.until, row.length, row.attributes) for row in found) == [
        (TUESDAY, 1, [2, 0, 1]),
        (WEDNESDAY, 1, [0, 0, 0]),
        (WEDNESDAY, 2, [2, 0, 1]),
    ]


def test_every_interaction_has_its_type(spark):
    viewed = event("U1", "a", event_type="view", occurred_at=datetime(2023, 1, 1, tzinfo=UTC))
    [row] = examples(spark, viewed, event("U1", "a", event_type="purchase"))
    assert (row.items, row.types) == ([-1, 0, 0], [0, TYPE_CODES["view"], TYPE_CODES["purchase"]])


def test_one_item_more_than_a_history_is_kept_since_the_last_is_a_target(spark):
    rows = [seen("U1", item, day) for item, day in (("a", date(2023, 1, 1)), ("b", MONDAY), ("c", TUESDAY))]
    [row] = examples(spark, *rows, seen("U1", "d", WEDNESDAY))
    assert (row.items, row.length) == ([1, 2, 3], 3)


def test_c05_nothing_after_until_is_in_a_row_of_any_user(spark):
    rows = [seen("U1", "a", MONDAY), seen("U1", "b", WEDNESDAY), seen("U2", "c", WEDNESDAY)]
    found = examples(spark, *rows, untils=[TUESDAY, WEDNESDAY])
    assert [(row.until, row.items) for row in found if row.until == TUESDAY] == [(TUESDAY, [-1, -1, 0])]
    assert sorted(row.items for row in found if row.until == WEDNESDAY) == [[-1, -1, 2], [-1, 0, 1]]


def test_b10_a_user_of_one_review_has_a_row(spark):
    [row] = examples(spark, seen("U1", "a", MONDAY))
    assert row.length == 1


def test_f12_the_seed_shuffles_users_and_a_user_keeps_the_key(spark):
    rows = [seen(f"U{n}", "abcdef"[n], MONDAY) for n in range(6)]
    by_day = examples(spark, *rows, untils=[TUESDAY, WEDNESDAY])
    shuffled = [row.items[-1] for row in by_day]
    assert shuffled[:6] == shuffled[6:]
    assert shuffled[:6] != sorted(shuffled[:6])
    assert [row.items[-1] for row in examples(spark, *rows, seed=8)] != shuffled[:6]


def test_users_whose_hashes_collide_have_keys_of_their_own(spark, monkeypatch):
    monkeypatch.setattr(F, "xxhash64", lambda *columns: F.lit(5).cast("bigint"))
    users = spark.createDataFrame([(MONDAY, "U2"), (MONDAY, "U1"), (TUESDAY, "U1")], "until date, user_id string")
    found = {(row.until, row.user_id): row.shuffle_key for row in _with_shuffle_key(users, 7).collect()}
    assert found == {(MONDAY, "U1"): 5, (MONDAY, "U2"): 6, (TUESDAY, "U1"): 5}
