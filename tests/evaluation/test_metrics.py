import math
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from recpipe.evaluation import metrics
from recpipe.evaluation.metrics import Lists, filled, hits_among, products, ranked_lists, top_k


def slow_reference(ranked: list[int], targets: set[int], k: int) -> dict[str, float]:
    """The metrics as sentences, for one user, in plain loops."""
    found = [rank for rank, item in enumerate(ranked[:k], start=1) if item in targets]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(targets), k) + 1))
    return {
        "recall_at_10": len(found) / len(targets),
        "precision_at_10": len(found) / k,
        "hit_rate_at_10": 1.0 if found else 0.0,
        "mrr_at_10": 1 / found[0] if found else 0.0,
        "map_at_10": sum(n / rank for n, rank in enumerate(found, start=1)) / min(len(targets), k),
        "ndcg_at_10": sum(1 / math.log2(rank + 1) for rank in found) / ideal,
    }


@pytest.mark.parametrize("items", [4, 10, 60])
def test_every_metric_equals_a_slow_reference(items):
    draw = np.random.default_rng(items)
    users = 2500  # more than two blocks
    user_vectors, item_vectors = draw.normal(size=(users, 5)), draw.normal(size=(items, 5))
    shuffled = [list(draw.permutation(items)) for _ in range(users)]
    targets = [order[: draw.integers(1, 4)] for order in shuffled]
    seen = [order[3 : draw.integers(3, items + 1)] for order in shuffled]
    unknown = draw.random(users) < 0.3

    wanted = Lists.of([[*mine, -1] if lost else mine for mine, lost in zip(targets, unknown, strict=True)])
    hits = hits_among(ranked_lists(products(user_vectors, item_vectors), Lists.of(seen), 10), wanted)

    scores = user_vectors @ item_vectors.T
    expected = []
    for user in range(users):
        ranked = [i for i in np.argsort(-scores[user]) if i not in set(seen[user])]
        expected.append(slow_reference(ranked, {*targets[user], *([-1] if unknown[user] else [])}, 10))
    assert set(expected[0]) == set(metrics.METRICS)
    for name, metric in metrics.METRICS.items():
        np.testing.assert_allclose(metric(hits, wanted.lengths()), [row[name] for row in expected], err_msg=name)


def test_products_are_made_by_one_thread_whose_number_their_last_bits_depend_on():
    threads = []

    def scores(first, last):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return np.zeros((last - first, 3))

    ranked_lists(scores, Lists.of([[]]), 2)
    assert set(threads) == {1}


def test_a_target_at_rank_two_of_two_targets():
    hits, counts = np.array([[False, True, False]]), np.array([2])
    assert metrics.recall_at_k(hits, counts) == [0.5]
    assert metrics.precision_at_k(hits, counts) == [1 / 3]
    assert metrics.mrr_at_k(hits, counts) == [0.5]
    assert metrics.hit_rate_at_k(hits, counts) == [1.0]
    assert metrics.average_precision_at_k(hits, counts) == [0.25]
    assert metrics.ndcg_at_k(hits, counts) == pytest.approx([(1 / math.log2(3)) / (1 + 1 / math.log2(3))])


@pytest.mark.parametrize("metric", metrics.METRICS.values())
def test_a_user_without_targets_is_undefined_and_not_zero(metric):
    values = metric(np.array([[False, False], [True, False]]), np.array([0, 1]))
    assert np.isnan(values[0])
    assert values[1] > 0


def test_d14_a_constant_model_ranks_at_random():
    """Items are numbered by popularity here, so that any order by number would look like a good model."""
    users, items = 20_000, 50
    targets = Lists.of([[user % 5] for user in range(users)])
    nothing_seen = Lists.of([[] for _ in range(users)])
    hits = hits_among(ranked_lists(products(np.ones((users, 1)), np.ones((items, 1))), nothing_seen, 10), targets)
    assert np.mean(metrics.recall_at_k(hits, targets.lengths())) == pytest.approx(10 / items, abs=0.02)


def test_ties_are_broken_alike_every_time():
    scores = np.array([[1.0, 2.0, 2.0, 2.0, 0.0, 2.0]] * 20)
    first = top_k(scores, 3, seed=5)
    np.testing.assert_array_equal(first, top_k(scores, 3, seed=5))
    assert {tuple(sorted(row)) for row in first.tolist()} <= {(1, 2, 3), (1, 2, 5), (1, 3, 5), (2, 3, 5)}
    assert len({tuple(row) for row in first.tolist()}) > 1


def test_d08_a_nan_score_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        top_k(np.array([[1.0, np.nan, 3.0]]), 2)


def test_d10_fewer_items_than_k_leave_ranks_empty():
    assert top_k(np.array([[1.0, 3.0]]), 4).tolist() == [[1, 0, -1, -1]]


def test_d11_seen_items_take_no_rank():
    scores = np.array([[9.0, -np.inf, 7.0, -np.inf]])
    assert top_k(scores, 3).tolist() == [[0, 2, -1]]
    lists = ranked_lists(lambda *_: np.array([[9.0, 8.0, 7.0]]), Lists.of([[0, 1]]), 2)
    assert lists.tolist() == [[2, -1]]
    assert hits_among(lists, Lists.of([[2]])).tolist() == [[True, False]]


def test_empty_places_are_filled_with_popular_items_that_the_user_has_not():
    lists = np.array([[2, -1, -1], [-1, -1, -1], [5, 4, 3], [1, -1, -1]])
    found = filled(lists, np.array([1, 2, 0, 3]), Lists.of([[0, -1], [], [], [2, 3]]))
    assert found.tolist() == [[2, 1, 3], [1, 2, 0], [5, 4, 3], [1, 0, -1]]
    assert lists[1].tolist() == [-1, -1, -1]


def test_an_unknown_target_is_never_found_and_still_counts():
    targets = Lists.of([[-1, 0]])
    hits = hits_among(np.array([[1, 0]]), targets)
    assert hits.tolist() == [[False, True]]
    assert metrics.recall_at_k(hits, targets.lengths()) == [0.5]


@pytest.mark.parametrize("columns", [1, 9, 639, 640, 700, 5000])
@pytest.mark.parametrize("values", [3, 100_000])  # few: nearly all are ties
def test_the_best_are_those_of_a_whole_sort(columns, values):
    draw = np.random.default_rng(columns)
    scores = draw.integers(values, size=(40, columns)).astype(np.float32)
    scores[draw.random(scores.shape) < 0.3] = -np.inf
    scores[:3] = -np.inf
    best = top_k(scores, 10)
    sorted_scores = -np.sort(-scores, axis=1)[:, :10]
    wanted = np.pad(sorted_scores, ((0, 0), (0, 10 - sorted_scores.shape[1])), constant_values=-np.inf)
    found = np.where(best >= 0, np.take_along_axis(scores, np.maximum(best, 0), axis=1), -np.inf)
    np.testing.assert_array_equal(found, wanted)
    assert all(len(set(row[row >= 0].tolist())) == (row >= 0).sum() for row in best)


def test_equal_scores_of_many_candidates_are_drawn_evenly():
    best = top_k(np.zeros((4000, 1000), dtype=np.float32), 1)
    thirds = np.bincount(best[:, 0] * 3 // 1000, minlength=3) / 4000
    np.testing.assert_allclose(thirds, 1 / 3, atol=0.03)


def test_where_nearly_all_scores_are_equal_ranking_takes_little_more_memory_than_the_scores():
    scores = np.zeros((100, 20_000), dtype=np.float32)
    scores[:, 7] = 1
    tracemalloc.start()
    best = top_k(scores, 10)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (best[:, 0] == 7).all()
    assert (best >= 0).all()
    assert len(np.unique(best)) > 800
    assert most < 3 * scores.nbytes
