"""Top-k metrics over a full ranking.

Every metric takes ``hits``, (users, k) booleans: whether the item at rank r (column r - 1) is one of the user's
targets, and ``target_counts``, (users,): how many targets the user has, found or not. It gives one value a user, NaN
for a user without targets: an empty test list is undefined, not 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

BLOCK = 1024
"""Users ranked at once: bounds the memory of one block to BLOCK x candidates scores."""

GROUP = 64
"""Candidates of which only the best is looked at first."""


@dataclass(frozen=True)
class Lists:
    """Lists of different lengths, one a user: user i has ``values[offsets[i]:offsets[i + 1]]``."""

    values: NDArray[np.integer]
    offsets: NDArray[np.integer]

    @classmethod
    def of(cls, lists: list[list[int]]) -> Self:
        values = np.array([value for one in lists for value in one], dtype=np.int64)
        return cls(values, np.cumsum([0, *(len(one) for one in lists)]))

    @classmethod
    def of_cells(cls, rows: NDArray[np.integer], values: NDArray[np.integer], count: int) -> Self:
        """``count`` lists: each value once, ascending, in the list of its row."""
        pairs = np.unique(np.stack([rows, values], axis=1), axis=0)
        return cls(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(count + 1)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> NDArray[np.integer]:
        return np.diff(self.offsets)

    def cells(self, first: int, last: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """(row, value) of the users first … last - 1, rows from 0, without negative values, which name no candidate."""
        values = self.values[self.offsets[first] : self.offsets[last]]
        rows = np.repeat(np.arange(last - first), self.lengths()[first:last])
        return rows[values >= 0], values[values >= 0]


def top_k(scores: NDArray[np.floating], k: int, seed: int = 0) -> NDArray[np.integer]:
    """The columns of the k greatest scores of each row, best first; -1 where a row has fewer scores above -inf.

    Equal scores are ordered by a seeded draw, so that a model which scores everything alike ranks at random and
    gains nothing from the order in which items were numbered.

    Raises:
        ValueError: a score is NaN or +inf, which would otherwise win every ranking.
    """
    count, columns = scores.shape
    best = np.full((count, k), -1, dtype=np.int64)
    wanted = min(k, columns)
    if wanted == 0:
        return best
    draws = np.random.default_rng(seed)
    floor = np.maximum(_floor(scores, wanted), np.finfo(scores.dtype).min)  # above -inf
    reach = scores >= floor
    for row in np.flatnonzero(reach.sum(axis=1) > wanted * GROUP):  # more than lie above the floor: ties with it
        tied = np.flatnonzero(scores[row] == floor[row])
        reach[row, tied] = False
        reach[row, draws.choice(tied, min(wanted, len(tied)), replace=False)] = True
    rows, items = np.divmod(np.flatnonzero(reach), columns)
    values = scores[rows, items]
    if np.isnan(scores).any() or np.isposinf(values).any():
        raise ValueError("expected finite scores, or -inf for an item left out; found NaN or +inf")
    order = np.lexsort((draws.random(len(rows)), -values, rows))
    rows, items = rows[order], items[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, np.arange(count))[rows]  # from 0 in each row
    best[rows[places < wanted], places[places < wanted]] = items[places < wanted]
    return best


def _floor(scores: NDArray[np.floating], wanted: int) -> NDArray[np.floating]:
    """(rows, 1): not above the ``wanted``-th greatest score of a row, and near it.

    It is that of the greatest scores of groups of columns, which are found twenty times as fast as those of all.
    """
    groups = scores.shape[1] // GROUP
    if groups >= wanted:
        scores = scores[:, : groups * GROUP].reshape(len(scores), GROUP, groups).max(axis=1)
    last = scores.shape[1] - wanted
    return np.partition(scores, last, axis=1)[:, last, None]


Scores = Callable[[int, int], NDArray[np.floating]]
"""Scores of all candidates for the users first … last - 1: (last - first, candidates), which the ranking may change."""


def ranked_lists(scores: Scores, seen: Lists, k: int) -> NDArray[np.integer]:
    """Rank every candidate for every user, seen items left out.

    Args:
        seen: by user, candidates that must not be ranked.

    Returns:
        (users, k) candidates, the best first; -1 where a user has fewer.
    """
    lists = np.full((len(seen), k), -1, dtype=np.int64)
    with threadpool_limits(1, "blas"):  # the last bits of a product depend on the number of threads
        for first in range(0, len(seen), BLOCK):
            last = min(first + BLOCK, len(seen))
            of_block = scores(first, last)
            of_block[seen.cells(first, last)] = -np.inf
            lists[first:last] = top_k(of_block, k, seed=first)
    return lists


def filled(lists: NDArray[np.integer], popular: NDArray[np.integer], seen: Lists) -> NDArray[np.integer]:
    """The lists with their empty places taken by popular items, as `top_k.rank_block` fills them on a night.

    Args:
        lists: (users, k), see `ranked_lists`.
        popular: candidates, the most popular first.
        seen: by user, candidates that must not be taken.
    """
    lists, k = lists.copy(), lists.shape[1]
    for row in np.flatnonzero(lists[:, -1] < 0):
        chosen = lists[row][lists[row] >= 0]
        taken = np.concatenate([chosen, seen.values[seen.offsets[row] : seen.offsets[row + 1]]])
        likely = popular[: k + len(taken)]
        fill = likely[~np.isin(likely, taken)][: k - len(chosen)]
        lists[row, len(chosen) : len(chosen) + len(fill)] = fill
    return lists


def products(users: NDArray[np.floating], items: NDArray[np.floating]) -> Scores:
    """Scores that are the dot products of vectors: (users, size) and (candidates, size)."""
    return lambda first, last: users[first:last] @ items.T


def targets_found(lists: NDArray[np.integer], targets: Lists) -> NDArray[np.integer]:
    """Which target stands at each place of the lists.

    Args:
        lists: (users, k), see `ranked_lists`.
        targets: by user, different candidates to be found; -1 for an item that is no candidate, which nothing can find.

    Returns:
        (users, k) places in ``targets.values``; -1 where no target of the user stands.
    """
    rows, wanted = targets.cells(0, len(targets))
    if not len(wanted):
        return np.full(lists.shape, -1, dtype=np.int64)
    count = max(lists.max(initial=-1), wanted.max()) + 1
    keys, pairs = rows * count + wanted, np.arange(len(lists))[:, None] * count + lists
    order = np.argsort(keys, kind="stable")
    places = order[np.searchsorted(keys, pairs, sorter=order).clip(max=len(keys) - 1)]
    found = (keys[places] == pairs) & (lists >= 0)
    return np.where(found, np.flatnonzero(targets.values >= 0)[places], -1)


def hits_among(lists: NDArray[np.integer], targets: Lists) -> NDArray[np.bool_]:
    """(users, k): whether a target of the user stands at the place; see `targets_found`."""
    return targets_found(lists, targets) >= 0


def recall_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """Targets among the first k / targets."""
    return _over_targets(hits.sum(axis=1) / np.maximum(target_counts, 1), target_counts)


def precision_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """Targets among the first k / k."""
    return _over_targets(hits.mean(axis=1), target_counts)


def hit_rate_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """1 if a target is among the first k, else 0."""
    return _over_targets(hits.any(axis=1).astype(float), target_counts)


def mrr_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """1 / rank of the first target, ranks from 1; 0 if none is among the first k."""
    return _over_targets(hits.any(axis=1) / (hits.argmax(axis=1) + 1), target_counts)


def average_precision_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """Sum of the precision at the rank of each target found / targets, of which at most k count. Its mean is MAP."""
    precision = hits.cumsum(axis=1) / (np.arange(hits.shape[1]) + 1)  # at each rank
    return _over_targets((precision * hits).sum(axis=1) / target_counts.clip(1, hits.shape[1]), target_counts)


def ndcg_at_k(hits: NDArray[np.bool_], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    """Sum of 1 / log2(rank + 1) over the targets found, ranks from 1 / the same sum with all of them first.

    At most k targets fit into the ideal ranking (Järvelin and Kekäläinen, 2002, with gains 0 and 1).
    """
    discounts = 1 / np.log2(np.arange(hits.shape[1]) + 2)  # (k,)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(target_counts, hits.shape[1])]
    found = np.divide(hits @ discounts, ideal, out=np.zeros(len(hits)), where=ideal > 0)
    return _over_targets(found, target_counts)


def _over_targets(values: NDArray[np.floating], target_counts: NDArray[np.integer]) -> NDArray[np.floating]:
    return np.where(target_counts > 0, values, np.nan)


METRICS = {
    "recall_at_10": recall_at_k,
    "ndcg_at_10": ndcg_at_k,
    "precision_at_10": precision_at_k,
    "hit_rate_at_10": hit_rate_at_k,
    "mrr_at_10": mrr_at_k,
    "map_at_10": average_precision_at_k,
}
"""The figures by which an anchor is judged, on hits with k = 10."""
