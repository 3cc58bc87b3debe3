import itertools

from recpipe.tables import ITEM_INDEX
from recpipe.transforms.item_index import item_index
from tests.rows import MONDAY, TUESDAY, WEDNESDAY


def named(spark, *rows):
    return spark.createDataFrame(list(rows), "item_id string, arrived_on date")


def known(spark, *rows):
    return spark.createDataFrame(list(rows), "first_arrived_on date, item_id string, item_index int")


def numbers(frame):
    assert frame.columns == list(ITEM_INDEX.column_names)
    return {row.item_id: (row.item_index, row.first_arrived_on) for row in frame.collect()}


def test_days_come_in_order_and_items_by_id_within_a_day(spark):
    reviews = named(spark, ("b", TUESDAY), ("c", MONDAY), ("c", TUESDAY), ("d", MONDAY))
    items = named(spark, ("a", TUESDAY), ("d", TUESDAY), ("e", MONDAY))
    assert numbers(item_index(known(spark), [reviews, items], MONDAY)) == {
        "c": (0, MONDAY),
        "d": (1, MONDAY),
        "e": (2, MONDAY),
        "a": (3, TUESDAY),
        "b": (4, TUESDAY),
    }


def test_numbers_go_on_after_earlier_arrivals_and_known_items_keep_theirs(spark):
    before = known(spark, (MONDAY, "c", 0), (MONDAY, "z", 7))
    found = item_index(before, [named(spark, ("c", TUESDAY), ("b", TUESDAY))], TUESDAY)
    assert numbers(found) == {"b": (8, TUESDAY)}


def test_left_overs_of_a_stopped_run_do_not_count(spark):
    left = known(spark, (MONDAY, "a", 0), (TUESDAY, "b", 1), (WEDNESDAY, "c", 2))
    found = item_index(left, [named(spark, ("c", TUESDAY), ("b", WEDNESDAY))], TUESDAY)
    assert numbers(found) == {"c": (1, TUESDAY), "b": (2, WEDNESDAY)}


def test_nothing_new_numbers_nothing(spark):
    assert numbers(item_index(known(spark, (MONDAY, "a", 0)), [named(spark, ("a", TUESDAY))], TUESDAY)) == {}


def test_one_run_over_three_days_numbers_like_three_runs_in_whatever_order_rows_come(spark):
    rows = [("b", MONDAY), ("d", TUESDAY), ("b", WEDNESDAY), ("a", WEDNESDAY), ("c", TUESDAY)]
    at_once = numbers(item_index(known(spark), [named(spark, *rows)], MONDAY))
    for order in itertools.islice(itertools.permutations(rows), 0, 120, 40):
        day_by_day = {}
        for day in (MONDAY, TUESDAY, WEDNESDAY):
            before = known(spark, *((first, item, number) for item, (number, first) in day_by_day.items()))
            day_by_day |= numbers(item_index(before, [named(spark, *(r for r in order if r[1] == day))], day))
        assert day_by_day == at_once
    assert len(at_once) == 4
