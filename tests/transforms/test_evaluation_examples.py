import random
from datetime import UTC, date, datetime, timedelta

from recpipe.lake import conform
from recpipe.tables import EVALUATION_EXAMPLES, TYPE_CODES
from recpipe.transforms.evaluation_examples import cut_by_arrival, cut_by_happening
from recpipe.transforms.user_attributes import with_attributes
from tests.frames import attributes, met
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, event, review
from tests.transforms.test_training_examples import DAY, seen


def noon(day):
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def examples(spark, *rows, cut=MONDAY, until=WEDNESDAY, history_length=2):
    made = cut_by_happening(met(spark, *rows), WEDNESDAY, cut, until, history_length)
    return {
        row.user_id: row for row in conform(EVALUATION_EXAMPLES, with_attributes(made, attributes(spark))).collect()
    }


def since(spark, known, *arrived, history_length=2):
    """Rows by arrival: ``known`` on Monday, and ``arrived`` by Wednesday."""
    then, now = (met(spark, *rows) for rows in (known, (*known, *arrived)))
    made = cut_by_arrival(then, now, WEDNESDAY, MONDAY, history_length)
    return {
        row.user_id: row for row in conform(EVALUATION_EXAMPLES, with_attributes(made, attributes(spark))).collect()
    }


def test_c04_history_ends_at_the_cut_and_targets_come_after_it(spark):
    rows = [seen("U1", "c", MONDAY), seen("U1", "b", WEDNESDAY), seen("U1", "a", TUESDAY)]
    row = examples(spark, *rows)["U1"]
    assert (row.items, row.days, row.length) == ([-1, 2], [0, DAY[MONDAY]], 1)
    assert (row.seen, row.targets) == ([2], [0, 1])
    assert (row.ds, row.cut, row.until, row.cut_by) == (WEDNESDAY, MONDAY, WEDNESDAY, "happened_at")


def test_c05_what_happened_after_until_is_in_no_row_of_any_user(spark):
    rows = [seen("U1", "c", MONDAY), seen("U1", "b", TUESDAY), seen("U1", "a", WEDNESDAY), seen("U2", "a", WEDNESDAY)]
    found = examples(spark, *rows, until=TUESDAY)
    assert {user: row.targets for user, row in found.items()} == {"U1": [1]}


def test_an_item_seen_before_the_cut_is_no_target(spark):
    again = [seen(user, "a", day) for user in ("U1", "U2") for day in (MONDAY, TUESDAY)]
    found = examples(spark, *again, seen("U2", "b", TUESDAY))
    assert {user: row.targets for user, row in found.items()} == {"U2": [1]}


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


def test_a_view_is_history_and_neither_seen_nor_a_target(spark):
    views = [
        event(user, item, event_type="view", occurred_at=noon(day))
        for user in ("U1", "U2")
        for item, day in (("a", MONDAY), ("b", TUESDAY))
    ]
    found = examples(spark, *views, seen("U1", "a", TUESDAY))
    assert found.keys() == {"U1"}
    row = found["U1"]
    assert (row.items, row.types, row.seen, row.targets) == ([-1, 0], [0, TYPE_CODES["view"]], [], [0])


def test_c07_by_arrival_what_came_late_is_in_neither_history_nor_targets(spark):
    row = since(spark, [seen("U1", "a", MONDAY)], seen("U1", "b", MONDAY), seen("U1", "c", TUESDAY))["U1"]
    assert (row.items, row.seen, row.targets) == ([-1, 0], [0], [2])
    assert (row.ds, row.cut, row.until, row.cut_by) == (WEDNESDAY, MONDAY, WEDNESDAY, "arrived_on")


def test_by_arrival_an_item_that_the_user_had_is_no_target_again(spark):
    assert since(spark, [seen("U1", "a", MONDAY)], seen("U1", "a", TUESDAY)) == {}


DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(8)]
TARGETS = ("purchase", "review")


def random_rows(draw):
    """Interactions of some users, many of which arrive late and are repeated."""
    rows = []
    for _ in range(240):
        happened = draw.choice(DAYS)
        user, item, type_ = f"U{draw.randrange(20)}", draw.choice("abcdefgh"), draw.choice(("view", "cart", *TARGETS))
        arrived = draw.choice([day for day in DAYS if day >= happened])
        at = datetime(happened.year, happened.month, happened.day, draw.randrange(24), draw.randrange(60), tzinfo=UTC)
        if type_ == "review":
            rows.append(review(user, item, reviewed_at=at, arrived_on=arrived))
        else:
            rows.append(event(user, item, event_type=type_, occurred_at=at, arrived_on=arrived))
    return rows


def first_times(rows, user):
    """(when, item, type) of each item's first view, first cart and first time the user had it."""
    found = {}
    for row in rows:
        type_, at = row.get("event_type", "review"), row.get("occurred_at") or row.get("reviewed_at")
        key = row["item_id"], "had" if type_ in TARGETS else type_
        if row["user_id"] == user:
            found[key] = min(found.get(key, (at, TYPE_CODES[type_])), (at, TYPE_CODES[type_]))
    return found


def slow_judging_rows(rows, cut, until, history_length):
    found = {}
    for user in sorted({row["user_id"] for row in rows}):
        then = first_times([row for row in rows if row["arrived_on"] <= cut], user)
        now = first_times([row for row in rows if row["arrived_on"] <= until], user)
        had = {item for item, kind in then if kind == "had"}
        got = {item for (item, kind), (at, _) in now.items() if kind == "had" and at.date() > cut} - had
        history = sorted((at, code, item) for (item, _), (at, code) in then.items())[-history_length:]
        if got:
            found[user] = (
                sorted((at.date(), code, item) for at, code, item in history),
                sorted(map("abcdefgh".index, had)),
                sorted(map("abcdefgh".index, got)),
            )
    return found


def test_c05_rows_by_arrival_are_those_of_a_slow_reference(spark):
    rows, cut, until = random_rows(random.Random(0)), DAYS[3], DAYS[6]
    then, now = (met(spark, *(row for row in rows if row["arrived_on"] <= day)) for day in (cut, until))
    found = {}
    for row in cut_by_arrival(then, now, until, cut, history_length=6).collect():
        days = [date(1970, 1, 1) + timedelta(days=day) for day in row.days]
        history = [(day, type_, item) for day, type_, item in zip(days, row.types, row.items, strict=True) if item >= 0]
        found[row.user_id] = (sorted((d, t, "abcdefgh"[i]) for d, t, i in history), row.seen, row.targets)
        assert len(history) == row.length
    assert found == slow_judging_rows(rows, cut, until, history_length=6)
    assert len(found) > 4


def test_b08_a_target_without_a_number_is_not_lost_but_null(spark):
    assert examples(spark, seen("U1", "unknown", TUESDAY))["U1"].targets == [None]
