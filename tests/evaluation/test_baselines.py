from datetime import date, timedelta

import numpy as np
import pytest

from recpipe.evaluation.baselines import EPOCH, Known, _ones, baselines, item_knn, popular_all_time, popular_recent
from recpipe.evaluation.metrics import Lists, filled, hits_among, ranked_lists, recall_at_k

UNTIL = date(2024, 3, 31)


def days_before(*days: int) -> np.ndarray:
    return np.array([(UNTIL - timedelta(days=number) - EPOCH).days for number in days])


def test_all_time_counts_every_interaction_and_no_padding():
    items = np.array([[-1, 0, 2], [3, 2, 2]])  # 3 is the padding of three candidates
    assert popular_all_time(items, 3).tolist() == [1, 0, 3]


def test_recent_counts_the_last_thirty_days_only():
    items = np.array([0, 0, 1, 1])
    days = days_before(30, 29, 0, 31)
    assert popular_recent(items, days, 2, UNTIL).tolist() == [1, 1]


TASTES, EACH = 4, 10  # groups of items; a user keeps to one of them


@pytest.fixture(scope="module")
def shop():
    """Users of tastes, whose last item is kept back. The first taste has most users."""
    draw = np.random.default_rng(0)
    tastes = draw.choice(TASTES, size=400, p=[0.4, 0.2, 0.2, 0.2])
    items = np.array([taste * EACH + draw.permutation(EACH)[:5] for taste in tastes])
    categories = np.repeat(np.arange(TASTES) + 1, EACH)[:, None]
    known = Known(items[:, :-1], np.full((400, 4), days_before(3)[0]), np.ones((400, 4), bool), UNTIL, categories)
    return known, Lists.of(items[:, :-1].tolist()), items[:, -1]


def recalls(shop) -> dict[str, float]:
    known, histories, last = shop
    targets = Lists.of(last[:, None].tolist())
    lists = lists_of(known, histories)
    return {name: recall_at_k(hits_among(its, targets), targets.lengths()).mean() for name, its in lists.items()}


def lists_of(known, histories) -> dict[str, np.ndarray]:
    """Of five places, as a shop that serves each would show them."""
    scores = baselines(known, histories, seed=1)
    return {name: filled(ranked_lists(of, histories, 5), known.popular, histories) for name, of in scores.items()}


def test_neighbours_factors_and_categories_find_a_taste_and_popularity_the_most_common_one(shop):
    found = recalls(shop)
    assert list(found) == ["popular_all_time", "popular_recent", "popular_in_category", "item_knn", "als"]
    assert 0.1 < found["popular_all_time"] == found["popular_recent"] < 0.5
    for name in ("popular_in_category", "item_knn", "als"):
        assert found[name] > found["popular_all_time"] + 0.2, name


def test_the_same_seed_gives_the_same_scores(shop):
    known, histories, _ = shop
    once, again = (baselines(known, histories, seed=1) for _ in range(2))
    for name, scores in once.items():
        np.testing.assert_array_equal(scores(0, 50), again[name](0, 50), err_msg=name)


def test_item_knn_adds_cosines():
    owned = _ones(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 2]), (3, 3))
    profile = _ones(np.array([0]), np.array([0]), (1, 3))
    [scores] = item_knn(owned, profile)(0, 1)
    np.testing.assert_allclose(scores[1:], [1 / np.sqrt(2), 0], atol=1e-6)


def test_an_item_twice_in_a_history_counts_once_and_what_is_no_candidate_not_at_all():
    known = Known(
        np.array([[-1, 1, 1], [0, 2, 3]]), np.zeros((2, 3), int), np.ones((2, 3), bool), UNTIL, np.zeros((3, 1), int)
    )
    assert known.matrix.toarray().tolist() == [[0, 1, 0], [1, 0, 1]]


def test_where_nobody_had_anything_all_baselines_serve_items_by_number():
    known = Known(np.full((2, 3), -1), np.zeros((2, 3), int), np.ones((2, 3), bool), UNTIL, np.zeros((3, 1), int))
    lists = lists_of(known, Lists.of([[], [1]]))
    assert len(lists) == 5
    for name, its in lists.items():
        assert its.tolist() == [[0, 1, 2, -1, -1], [0, 2, -1, -1, -1]], name


def test_where_a_baseline_says_nothing_of_an_item_popular_ones_fill_the_list_as_on_a_night():
    """Item 6 was had thirty times of old, and items 4 and 5 lately, like 0 and 1, which one user has both; item 2 has
    a category of its own, and nobody has item 3."""
    old, lately = np.full((30, 1), 6), np.array([[0, 1], [4, 5], [4, -1], [2, -1]])
    items = np.concatenate([np.pad(old, [(0, 0), (0, 1)], constant_values=-1), lately])
    days = np.where(items == 6, days_before(60)[0], days_before(3)[0])
    categories = np.array([1, 1, 2, 1, 3, 3, 3])[:, None]
    known = Known(items, days, np.ones(items.shape, bool), UNTIL, categories)
    assert known.popular.tolist() == [4, 0, 1, 2, 5, 6, 3]
    lists = {name: its.tolist() for name, its in lists_of(known, Lists.of([[0], [2], [3]])).items()}
    assert lists["popular_recent"] == [[4, 1, 2, 5, 6], [4, 0, 1, 5, 6], [4, 0, 1, 2, 5]]
    assert lists["popular_all_time"] == [[6, 4, 1, 2, 5], [6, 4, 0, 1, 5], [6, 4, 0, 1, 2]]
    assert lists["item_knn"] == [[1, 4, 2, 5, 6], *lists["popular_recent"][1:]]
    assert lists["als"][2] == lists["popular_recent"][2]
    assert lists["popular_in_category"][:2] == [[1, 4, 2, 5, 6], lists["popular_recent"][1]]
    assert lists["popular_in_category"][2][2:] == [4, 2, 5]


def test_what_was_only_viewed_tells_of_tastes_and_makes_nothing_popular():
    items, had = np.array([[0, 1], [0, 1], [2, 1]]), np.array([[False, True], [False, True], [True, False]])
    known = Known(items, np.full((3, 2), days_before(3)[0]), had, UNTIL, np.zeros((3, 1), int))
    assert known.owners.tolist() == [0, 2, 1]
    scores = {name: of(0, 1)[0].tolist() for name, of in baselines(known, Lists.of([[0]]), seed=1).items()}
    assert scores["popular_all_time"] == scores["popular_recent"] == [1, 3, 2]
    assert scores["item_knn"][1] > scores["item_knn"][2]
