from recpipe.lake import conform
from recpipe.tables import EVALUATION_EXAMPLES
from recpipe.transforms.evaluation_examples import evaluation_examples
from tests.frames import met
from tests.rows import MONDAY, TUESDAY, WEDNESDAY
from tests.transforms.test_training_examples import DAY, seen


def examples(spark, *rows, cut=MONDAY, history_length=2):
    made = evaluation_examples(met(spark, *rows), WEDNESDAY, cut, history_length)
    return {row.user_id: row for row in conform(EVALUATION_EXAMPLES, made).collect()}


def test_c04_history_ends_at_the_cut_and_targets_come_after_it(spark):
    rows = [seen("U1", "c", MONDAY), seen("U1", "b", WEDNESDAY), seen("U1", "a", TUESDAY)]
    row = examples(spark, *rows)["U1"]
    assert (row.items, row.days, row.length) == ([-1, 2], [0, DAY[MONDAY]], 1)
    assert (row.seen, row.targets, row.cut, row.ds) == ([2], [0, 1], MONDAY, WEDNESDAY)


def test_an_item_seen_before_the_cut_is_no_target(spark):
    again = (seen("U1", "a", MONDAY), seen("U1", "a", TUESDAY))
    assert examples(spark, *again) == {}
    assert examples(spark, *again, seen("U1", "b", TUESDAY))["U1"].targets == [1]


def test_a_user_unknown_at_the_cut_has_an_empty_history(spark):
    row = examples(spark, seen("U1", "a", TUESDAY))["U1"]
    assert (row.items, row.days, row.length, row.seen, row.targets) == ([-1, -1], [0, 0], 0, [], [0])


def test_b10_a_user_without_items_after_the_cut_is_not_judged(spark):
    assert examples(spark, seen("U1", "a", MONDAY), seen("U2", "a", TUESDAY)).keys() == {"U2"}


def test_all_seen_items_are_kept_though_the_history_is_short(spark):
    rows = [seen("U1", item, MONDAY) for item in "dcba"]
    row = examples(spark, *rows, seen("U1", "e", TUESDAY))["U1"]
    assert (row.seen, row.length) == ([0, 1, 2, 3], 2)


def test_a_cut_on_the_anchor_day_leaves_nobody_to_judge(spark):
    assert examples(spark, seen("U1", "a", MONDAY), cut=WEDNESDAY) == {}


def test_b08_a_target_without_a_number_is_not_lost_but_null(spark):
    assert examples(spark, seen("U1", "unknown", TUESDAY))["U1"].targets == [None]
