import random
from datetime import UTC, datetime

from pyspark.sql import functions as F

from recpipe.transforms.core import core, each_until, left_out
from tests.frames import met
from tests.rows import MONDAY, TUESDAY, event, review


def pairs(spark, *pairs, items="abcdefgh"):
    return each_until(met(spark, *(review(user, item) for user, item in pairs), items=items), [MONDAY])


def left(frame):
    return {(row.user_id, row.item_id) for row in frame.collect()}


def slow_core(pairs, items_a_user, users_an_item):
    """One user or item at a time, in any order."""
    kept = set(pairs)
    while True:
        few = {(0, user) for user, _ in kept if len({item for u, item in kept if u == user}) < items_a_user}
        few |= {(1, item) for _, item in kept if len({user for user, i in kept if i == item}) < users_an_item}
        if not few:
            return kept
        place, name = random.choice(sorted(few))
        kept = {pair for pair in kept if pair[place] != name}


def test_b09_who_goes_takes_others_along_until_nobody_is_left(spark):
    found = core(pairs(spark, ("U1", "a"), ("U1", "b"), ("U2", "a")), 2, 2)
    assert left(found) == set()


def test_b09_a_core_stays_whole_while_a_long_tail_goes_one_after_another(spark):
    ring = [("U1", "a"), ("U1", "b"), ("U2", "b"), ("U2", "a")]
    tail = [("U3", "b"), ("U3", "c"), ("U4", "c"), ("U4", "d"), ("U5", "d"), ("U5", "e"), ("U6", "e"), ("U6", "f")]
    assert left(core(pairs(spark, *ring, *tail), 2, 2)) == set(ring)


def test_b09_the_core_is_that_of_a_slow_reference_in_any_order_of_rows(spark):
    all_, items = [], [f"{seed}{letter}" for seed in range(4) for letter in "abcdefgh"]
    for seed in range(4):  # four shops side by side, which share no user and no item
        draw = random.Random(seed)
        shop = sorted({(f"U{seed}{draw.randrange(8)}", f"{seed}{draw.choice('abcdefgh')}") for _ in range(26)})
        draw.shuffle(shop)
        all_ += shop
    expected = slow_core(all_, 3, 2)
    assert left(core(pairs(spark, *all_, items=items), 3, 2)) == expected
    assert left(core(pairs(spark, *all_[::-1], items=items).repartition(3), 3, 2)) == expected
    assert 0 < len(expected) < len(all_)


def test_each_until_has_a_core_of_its_own(spark):
    early = [review("U1", "a"), review("U1", "b"), review("U2", "b")]
    later = review("U2", "a", reviewed_at=datetime(2024, 1, 2, tzinfo=UTC))
    frame = core(each_until(met(spark, *early, later), [MONDAY, TUESDAY]), 2, 2)
    assert {(row.until, row.user_id, row.item_id) for row in frame.collect()} == {
        (TUESDAY, user, item) for user in ("U1", "U2") for item in "ab"
    }


def test_an_item_counts_once_a_user_and_all_its_meetings_stay(spark):
    rows = [event("U1", "a", event_type=type_) for type_ in ("view", "purchase")]
    once = each_until(met(spark, *rows), [MONDAY])
    assert core(once, 2, 1).count() == 0
    assert core(once, 1, 1).count() == 2
    both = each_until(met(spark, *rows, review("U1", "b")), [MONDAY])
    assert core(both, 2, 1).count() == 3


def test_a_user_of_few_items_goes_and_no_item_with_it(spark):
    found = core(pairs(spark, ("U1", "a"), ("U1", "b"), ("U2", "a")), 2, 1)
    assert left(found) == {("U1", "a"), ("U1", "b")}


def test_without_a_limit_nothing_is_looked_at(spark):
    frame = pairs(spark, ("U1", "a"))
    assert core(frame, 1, 1) is frame


def test_what_is_left_out_is_counted(spark):
    all_ = pairs(spark, ("U1", "a"), ("U1", "b"), ("U2", "a"))
    assert left_out(all_, all_.filter(F.col("user_id") == "U1")) == "1 of 2 users, 1 of 3 interactions"
    assert left_out(all_, all_.filter("false")) == "2 of 2 users, 3 of 3 interactions"
