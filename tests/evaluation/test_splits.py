from itertools import pairwise

import numpy as np
import pytest

from recpipe.evaluation.splits import cut_in_time, leave_one_out, random_split, rolling_cuts

LAST = 40
CUTS = (9, 19, 29, LAST)
PROTOCOLS = {
    "cut in time": lambda rows: cut_in_time(*rows, 19, LAST),
    "a rolling cut": lambda rows: rolling_cuts(*rows, CUTS)[1],
    "leave one out": lambda rows: leave_one_out(*rows),
    "leave one out, validation": lambda rows: leave_one_out(*rows, 2),
    "random": lambda rows: random_split(*rows, 0.3, 0),
}


@pytest.fixture(scope="module")
def rows():
    """A thousand interactions of many ties and repeats, in no order; user 0 comes last of all and user 7 has one."""
    draw = np.random.default_rng(0)
    users = draw.permutation(np.append(draw.choice([1, 2, 3, 4, 5, 6, 8, 9, 100], 990), [0] * 9 + [7]))
    days = np.where(users == 0, LAST, draw.integers(LAST + 1, size=1000))
    return users, draw.integers(500, 560, size=1000), days


def first_days(rows) -> dict[tuple[int, int], int]:
    """By user and item."""
    first: dict[tuple[int, int], int] = {}
    for user, item, day in zip(*(array.tolist() for array in rows), strict=True):
        first[user, item] = min(day, first.get((user, item), day))
    return first


def pairs(split, lists) -> list[tuple[int, int]]:
    return list(zip(np.repeat(split.users, lists.lengths()).tolist(), lists.values.tolist(), strict=True))


def by_user(split, lists) -> dict[int, list[int]]:
    found = {user: [] for user in split.users.tolist()}
    for user, item in pairs(split, lists):
        found[user].append(item)
    return found


def split_of(protocol, *lines: str):
    """Of lines "user item day"."""
    return protocol([np.array(column) for column in zip(*(map(int, line.split()) for line in lines), strict=True)])


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_no_pair_is_twice_in_a_split_so_no_target_is_in_its_history(rows, protocol):
    split = protocol(rows)
    known, wanted = pairs(split, split.histories), pairs(split, split.targets)
    assert len(known) > 50
    assert len(wanted) >= 8
    assert len({*known, *wanted}) == len(known) + len(wanted)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_interaction_is_in_a_list_or_comes_after_its_users_targets(rows, protocol):
    split, first = protocol(rows), first_days(rows)
    listed = {*pairs(split, split.histories), *pairs(split, split.targets)}
    latest = {
        user: max(first[user, item] for item in its) for user, its in by_user(split, split.targets).items() if its
    }
    left_out = set(first) - listed
    assert listed <= set(first)
    assert all(first[user, item] >= latest.get(user, 0) for user, item in left_out)
    if protocol in (PROTOCOLS["cut in time"], PROTOCOLS["leave one out"], PROTOCOLS["random"]):
        assert not left_out


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_users_are_told_apart_by_whether_they_had_anything(rows, protocol):
    split = protocol(rows)
    assert split.users.tolist() == sorted(set(split.users.tolist()))
    known, wanted = by_user(split, split.histories), by_user(split, split.targets)
    assert split.users[split.warm].tolist() == [user for user in wanted if wanted[user] and known[user]]
    assert split.users[split.cold].tolist() == [user for user in wanted if wanted[user] and not known[user]]


def test_no_history_tells_of_a_day_after_the_cut_and_no_target_of_one_before(rows):
    split, first = PROTOCOLS["cut in time"](rows), first_days(rows)
    assert max(first[pair] for pair in pairs(split, split.histories)) == 19
    wanted = [first[pair] for pair in pairs(split, split.targets)]
    assert (min(wanted), max(wanted)) == (20, LAST)
    assert split.users[split.cold].tolist()[0] == 0


def test_windows_of_rolling_cuts_do_not_overlap_and_leave_no_day_out(rows):
    found, first = rolling_cuts(*rows, CUTS), first_days(rows)
    assert len(found) == 3
    wanted = [{first[pair] for pair in pairs(split, split.targets)} for split in found]
    assert [(min(days), max(days)) for days in wanted] == [(10, 19), (20, 29), (30, LAST)]
    for before, after in pairwise(found):
        assert {*pairs(before, before.histories), *pairs(before, before.targets)} == {*pairs(after, after.histories)}
    assert {*pairs(found[0], found[0].histories)} == {pair for pair, day in first.items() if day <= CUTS[0]}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_split_leaks_unless_it_is_a_cut_in_time(rows, protocol):
    split, first = protocol(rows), first_days(rows)
    newest = max(first[pair] for pair in pairs(split, split.histories))
    oldest = min(first[pair] for pair in pairs(split, split.targets))
    assert split.leaks is bool(newest >= oldest)
    assert split.leaks is (protocol not in (PROTOCOLS["cut in time"], PROTOCOLS["a rolling cut"]))


def test_a_random_split_draws_a_share_of_each_users_items_and_alike_for_a_seed(rows):
    once, again, another = (random_split(*rows, 0.3, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once.targets.values, again.targets.values)
    assert once.targets.values.tolist() != another.targets.values.tolist()
    counts = once.targets.lengths() + once.histories.lengths()
    assert once.targets.lengths().tolist() == [round(0.3 * count) for count in counts.tolist()]


def test_a_days_order_is_that_of_the_rows():
    lines = ("1 30 5", "1 20 5", "1 10 5", "1 40 4")
    split = split_of(PROTOCOLS["leave one out"], *lines)
    assert by_user(split, split.histories) == {1: [40, 30, 20]}
    assert by_user(split, split.targets) == {1: [10]}
    validation = split_of(PROTOCOLS["leave one out, validation"], *lines)
    assert by_user(validation, validation.histories) == {1: [40, 30]}
    assert by_user(validation, validation.targets) == {1: [20]}


def test_a_day_is_never_parted_by_a_cut_in_time():
    split = split_of(lambda rows: cut_in_time(*rows, 5, 6), "1 30 5", "1 20 5", "1 10 6", "1 11 6", "1 12 7")
    assert by_user(split, split.histories) == {1: [30, 20]}
    assert by_user(split, split.targets) == {1: [10, 11]}
    assert split.cut == "known up to 1970-01-06, wanted up to 1970-01-07"


def test_the_first_time_of_a_pair_counts():
    split = split_of(lambda rows: cut_in_time(*rows, 5, 9), "1 10 8", "1 10 3", "1 20 7", "1 20 6")
    assert (by_user(split, split.histories), by_user(split, split.targets)) == ({1: [10]}, {1: [20]})
    split = split_of(PROTOCOLS["leave one out"], "1 10 1", "1 20 2", "1 10 3")
    assert (by_user(split, split.histories), by_user(split, split.targets)) == ({1: [10]}, {1: [20]})


def test_a_user_of_one_item_is_cold_when_it_is_left_out_and_has_none_to_find_in_validation():
    lines = ("1 10 1", "2 10 1", "2 20 2")
    split = split_of(PROTOCOLS["leave one out"], *lines)
    assert (split.users[split.cold].tolist(), split.users[split.warm].tolist()) == ([1], [2])
    validation = split_of(PROTOCOLS["leave one out, validation"], *lines)
    assert by_user(validation, validation.targets) == {1: [], 2: [10]}
    assert not validation.histories.lengths().any()
    drawn = split_of(PROTOCOLS["random"], *lines)
    assert drawn.targets.lengths().tolist() == [0, 1]


def test_a_window_ends_after_it_begins():
    with pytest.raises(ValueError, match="after the cut, found 1970-01-05 and 1970-01-06"):
        split_of(lambda rows: cut_in_time(*rows, 5, 4), "1 10 1")
    with pytest.raises(ValueError, match="after the cut"):
        split_of(lambda rows: rolling_cuts(*rows, (1, 5, 5)), "1 10 1")


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_shop_without_interactions_has_nobody(protocol):
    split = protocol([np.zeros(0, np.int64)] * 3)
    assert (len(split.users), len(split.histories), len(split.targets)) == (0, 0, 0)
