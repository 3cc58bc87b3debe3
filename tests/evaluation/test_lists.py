import math
from itertools import combinations

import numpy as np
import pytest

from recpipe.evaluation import lists as of_lists
from recpipe.evaluation.metrics import Lists

ITEMS, USERS, K = 30, 200, 6


@pytest.fixture
def shop():
    """Lists of 0 to K items, histories, and what is known of the items."""
    draw = np.random.default_rng(1)
    lists = np.full((USERS, K), -1)
    for row in lists:
        count = draw.integers(0, K + 1)
        row[:count] = draw.permutation(ITEMS)[:count]
    histories = [draw.permutation(ITEMS)[: draw.integers(0, 5)].tolist() for _ in range(USERS)]
    categories = draw.integers(0, 5, size=(ITEMS, 3)) * (draw.random((ITEMS, 1)) < 0.8)
    return lists, histories, draw.integers(0, USERS, ITEMS), draw.normal(size=(ITEMS, 4)), categories


def items_of(row):
    return [item for item in row.tolist() if item >= 0]


def each(lists, figure):
    return np.array([figure(user, items_of(row)) for user, row in enumerate(lists)])


def mix(items, categories):
    shares = {}
    for item in items:
        its = [number for number in categories[item].tolist() if number]
        for number in its:
            shares[number] = shares.get(number, 0) + 1 / len(its)
    return {number: share / sum(shares.values()) for number, share in shares.items()}


def test_every_figure_equals_a_slow_reference(shop):
    lists, histories, owners, vectors, categories = shop
    count = np.maximum(owners, 1)

    def mean(values):
        return sum(values) / len(values) if values else math.nan

    def distance(one, other):
        return 1 - vectors[one] @ vectors[other] / np.linalg.norm(vectors[one]) / np.linalg.norm(vectors[other])

    def divergence(user, items):
        wanted, given = mix(histories[user], categories), mix(items, categories)
        if not wanted or not given:
            return math.nan
        return sum(
            share * math.log(share / (0.99 * given.get(number, 0) + 0.01 * share)) for number, share in wanted.items()
        )

    def lift(user, items):
        theirs = mean([owners[item] for item in histories[user]])
        return mean([owners[item] for item in items]) / theirs - 1 if theirs > 0 else math.nan

    found = {
        "fill": of_lists.fill(lists),
        "novelty": of_lists.novelty(lists, owners, USERS),
        "popularity": of_lists.popularity(lists, owners),
        "lift": of_lists.popularity_lift(lists, Lists.of(histories), owners),
        "diversity": of_lists.diversity(lists, vectors),
        "miscalibration": of_lists.miscalibration(lists, Lists.of(histories), categories),
    }
    expected = {
        "fill": lambda user, items: len(items) / K,
        "novelty": lambda user, items: mean([-math.log2(count[item] / USERS) for item in items]),
        "popularity": lambda user, items: mean([owners[item] for item in items]),
        "lift": lift,
        "diversity": lambda user, items: mean([distance(*pair) for pair in combinations(items, 2)]),
        "miscalibration": divergence,
    }
    for name, figure in expected.items():
        slow = each(lists, figure)
        assert np.isfinite(slow).sum() > USERS / 2, name
        np.testing.assert_allclose(found[name], slow, atol=1e-12, err_msg=name)
    assert of_lists.coverage(lists, ITEMS) == len({item for row in lists for item in items_of(row)}) / ITEMS


def test_lists_like_the_history_are_calibrated_and_others_are_not():
    categories = np.array([[1], [1], [2], [2]])
    histories = Lists.of([[0, 2], [0, 2]])
    lists = np.array([[1, 3], [1, -1]])
    same, one_sided = of_lists.miscalibration(lists, histories, categories)
    assert same == pytest.approx(0)
    assert one_sided > 1


def test_without_categories_nothing_is_said_of_calibration():
    histories, lists = Lists.of([[0, 2], [1]]), np.array([[1, 3], [0, -1]])
    assert np.isnan(of_lists.miscalibration(lists, histories, np.zeros((4, 1), int))).all()


def test_what_is_popular_lifts_and_is_no_news():
    owners = np.array([80, 2, 1])
    popular, rare = np.array([[0]]), np.array([[2]])
    history = Lists.of([[1]])
    assert of_lists.popularity_lift(popular, history, owners) == [39]
    assert of_lists.popularity_lift(rare, history, owners) == [-0.5]
    assert of_lists.novelty(popular, owners, 100) < of_lists.novelty(rare, owners, 100)


def test_nobody_s_lists_cover_nothing():
    assert of_lists.coverage(np.full((2, 3), -1), 5) == 0
    assert math.isnan(of_lists.coverage(np.full((2, 3), -1), 0))
