import numpy as np

from recpipe.model.anchors import Users
from recpipe.model.examples import known_items, positions, read_evaluation_users, read_user_histories
from recpipe.tables import HAPPENED_AT
from tests.model.conftest import HISTORY_LENGTH, Interaction, day
from tests.model.small_models import of_strangers


def test_unknown_items_and_padding_have_no_place():
    known = np.array([2, 5, 9])
    assert positions(np.array([[-1, 5, 7, 9, 100]]), known, missing=3).tolist() == [[3, 1, 3, 2, 3]]


def test_d01_known_items_are_placed_densely_whatever_their_numbers():
    assert known_items(np.array([[-1, 2_000_000_000], [5, 5]])).tolist() == [5, 2_000_000_000]


def test_an_unknown_item_leaves_no_gap_in_a_history():
    history = of_strangers(np.array([[-1, 4, 8, 6]]), np.array([[0, 10, 11, 12]]), np.array([[0, 1, 2, 3]]))
    found = history.as_rows_of(np.array([4, 6]))
    assert found.items.tolist() == [[2, 2, 0, 1]]
    assert (found.days[0, 2:].tolist(), found.types[0, 2:].tolist()) == ([10, 12], [1, 3])


def test_evaluation_users_are_those_with_a_history_and_targets(shop):
    interactions = [Interaction("old", 1, 0), Interaction("old", 2, 1), Interaction("old", 3, 5)]
    interactions += [Interaction("new", 1, 6), Interaction("gone", 1, 0)]
    shop.anchor(interactions, anchor=7, cut=4)

    users = read_evaluation_users(shop.root, Users(day(7), day(4), day(7), HAPPENED_AT))

    assert (len(users), len(users.strangers)) == (1, 1)
    assert users.histories.items.tolist() == [[-1] * (HISTORY_LENGTH - 2) + [1, 2]]
    assert (users.seen.values.tolist(), users.targets.values.tolist()) == ([1, 2], [3])


def test_the_last_items_of_a_long_history_are_read_and_short_ones_padded(shop):
    shop.features([Interaction("a", 7, 1), *(Interaction("b", number, number) for number in range(5))], ds=9)
    users = read_user_histories(shop.root, day(9), history_length=3)
    assert users.user_ids.to_pylist() == ["a", "b"]
    assert users.histories.items.tolist() == [[-1, -1, 7], [2, 3, 4]]
    assert users.histories.days[0].tolist() == [0, 0, 19724]


def test_a_day_without_users_has_none(shop):
    assert read_user_histories(shop.root, day(9), history_length=3).histories.items.shape == (0, 3)
    assert len(read_evaluation_users(shop.root, Users(day(9), day(4), day(9), HAPPENED_AT))) == 0
