import numpy as np

from recpipe.evaluation.metrics import Lists
from recpipe.evaluation.segments import by_category, by_history, by_popularity

TARGETS = Lists.of([[0, 3], [], [1], [4, -1, 2]])


def places(segments):
    return {name: np.flatnonzero(mask).tolist() for name, mask in segments.items()}


def test_targets_are_told_apart_by_what_their_user_had():
    lengths, last_days = np.array([1, 7, 4, 10]), np.array([19_000, 19_040, 19_011, 19_039])
    assert places(by_history(lengths, last_days, TARGETS)) == {
        "history 1": [0, 1],
        "history 2-4": [2],
        "history 5-9": [],
        "history 10+": [3, 4, 5],
        "active in the last 30 days": [2, 3, 4, 5],
        "inactive for 30 days": [0, 1],
    }


def test_each_third_of_what_users_have_is_a_class_of_items_and_what_nobody_has_is_one_too():
    owners = np.array([2, 0, 6, 4, 6])  # items 2 and 4, then 3, then 0: before them 0, 6, 12 and 16 of 18
    assert places(by_popularity(owners, TARGETS)) == {
        "head items": [5],
        "torso items": [3],
        "tail items": [0, 1],
        "cold items": [2],
    }


def test_an_item_that_is_no_candidate_is_in_no_class():
    for segments in (by_popularity(np.zeros(5, int), TARGETS), by_category(np.ones(5, int), {1: "all"}, TARGETS)):
        assert places(segments)[next(reversed(segments))] == [0, 1, 2, 3, 5]


def test_categories_come_by_the_number_of_targets_and_without_a_name_not_at_all():
    categories = np.array([7, 8, 7, 9, 0])
    assert next(iter(by_category(categories, {7: "Awls", 8: "Books", 9: "Cork"}, TARGETS))) == "category Awls"
    assert places(by_category(categories, {7: "Awls", 9: "Cork"}, TARGETS)) == {
        "category Awls": [0, 5],
        "category Cork": [1],
    }


def test_a_catalogue_without_anything_has_empty_segments():
    nothing = Lists.of([[]])
    for segments in (
        by_history(np.array([0]), np.array([0]), nothing),
        by_popularity(np.zeros(0, int), nothing),
        by_category(np.zeros(0, int), {}, nothing),
    ):
        assert all(not len(mask) for mask in segments.values())
