import numpy as np

from recpipe.evaluation.metrics import Lists
from recpipe.model.contest import Contest
from tests.model.small_models import nothing_known, of_strangers


def test_of_items_and_users_that_a_model_learned_nothing_of_there_are_no_lists():
    ranked = nothing_known([3, 5, 7])
    items = np.array([[1, 0, 0.5], [0, 0, 9], [0, 1, 0.1]], dtype=np.float32)  # of item 5 the bias alone
    had = np.array([[3], [5], [-1], [8]], dtype=np.int32)
    histories = of_strangers(had, np.ones_like(had), np.ones_like(had))
    seen = Lists.of([[0], [1], [], []])
    contest = Contest(ranked, histories, seen, targets=Lists.of([[2], [2], [0], [0]]), strangers=Lists.of([]))
    users = np.ones((4, 3), dtype=np.float32)
    assert contest.lists(users, items)[:, :3].tolist() == [[2, -1, -1], [-1] * 3, [-1] * 3, [-1] * 3]
    assert contest.hits(users, items).any(axis=1).tolist() == [True, False, False, False]
