"""What recommended lists are like, whether or not anybody took what was in them.

Lists are (users, k) candidates, the best first, -1 where a user has fewer. But for `coverage` every figure is one value
a user, NaN where it is undefined, such as for an empty list.
"""

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.categories import category_mix, category_shares
from recpipe.evaluation.metrics import BLOCK, Lists

SMOOTHING = 0.01
"""Share of the history's categories that is mixed into the list's, so that one without a category is not infinitely far
from the history (alpha in Steck, 2018)."""


def coverage(lists: NDArray[np.integer], candidates: int) -> float:
    """Candidates that stand in a list / candidates; NaN without candidates."""
    return len(np.unique(lists[lists >= 0])) / candidates if candidates else np.nan


def fill(lists: NDArray[np.integer]) -> NDArray[np.floating]:
    """Items in the list / k."""
    return (lists >= 0).mean(axis=1)


def novelty(lists: NDArray[np.integer], owners: NDArray[np.integer], users: int) -> NDArray[np.floating]:
    """Mean of -log2 of the share of users who have the item (Zhou et al., 2010), in bits.

    Args:
        owners: (candidates,): how many of ``users`` have each. One that nobody has counts as one user's.
    """
    return _mean_of_items(lists, -np.log2(np.maximum(owners, 1) / users))


def popularity(lists: NDArray[np.integer], owners: NDArray[np.integer]) -> NDArray[np.floating]:
    """Mean number of the items' owners (average recommendation popularity, Yin et al., 2012)."""
    return _mean_of_items(lists, owners.astype(float))


def popularity_lift(lists: NDArray[np.integer], histories: Lists, owners: NDArray[np.integer]) -> NDArray[np.floating]:
    """How much more popular the list is than the history: the ratio of the means of their items' owners - 1
    (Abdollahpouri et al., 2020); 0 for a list as popular as the history."""
    rows, items = histories.cells(0, len(histories))
    sums = np.bincount(rows, owners[items], minlength=len(histories))
    had = np.bincount(rows, minlength=len(histories))
    theirs = np.divide(sums, had, out=np.full(len(histories), np.nan), where=sums > 0)
    return popularity(lists, owners) / theirs - 1


def diversity(lists: NDArray[np.integer], vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean over the pairs of a list's items of 1 - the cosine of their vectors (intra-list distance, Ziegler et al.,
    2005); NaN for a list of fewer than two.

    Args:
        vectors: (candidates, size).
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=float), where=lengths > 0)
    both_ways = np.empty(len(lists))  # sums of the cosines of all pairs, twice
    for first in range(0, len(lists), BLOCK):
        block = slice(first, first + BLOCK)
        of_lists = unit[lists[block]] * (lists[block] >= 0)[..., None]  # (users, k, size)
        both_ways[block] = (of_lists.sum(axis=1) ** 2).sum(axis=1) - (of_lists**2).sum(axis=(1, 2))
    count = (lists >= 0).sum(axis=1)
    pairs = count * (count - 1)
    return 1 - np.divide(both_ways, pairs, out=np.full(len(lists), np.nan), where=pairs > 0)


def miscalibration(
    lists: NDArray[np.integer], histories: Lists, categories: NDArray[np.integer]
) -> NDArray[np.floating]:
    """Kullback-Leibler divergence, in nats, of the categories in the list from those in the history (Steck, 2018); 0
    for a list of the same mix. NaN where the history or the list has no category.

    Args:
        categories: (candidates, most), see `category_shares`.
    """
    of_items = category_shares(categories)
    wanted = category_mix(*histories.cells(0, len(histories)), len(lists), of_items)
    given = category_mix(*_cells(lists), len(lists), of_items)
    if not wanted.nnz:
        return np.full(len(lists), np.nan)
    mixed = (1 - SMOOTHING) * given + SMOOTHING * wanted
    wanted.sort_indices()
    at = np.repeat(np.arange(len(lists)), np.diff(wanted.indptr))
    found = mixed[at, wanted.indices]
    terms = wanted.data * np.log(wanted.data / found)
    divergence = np.bincount(at, terms, minlength=len(lists))
    defined = (wanted.sum(axis=1) > 0) & (given.sum(axis=1) > 0)
    return np.where(defined, divergence, np.nan)


def _cells(lists: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    rows, places = np.nonzero(lists >= 0)
    return rows, lists[rows, places]


def _mean_of_items(lists: NDArray[np.integer], of_items: NDArray[np.floating]) -> NDArray[np.floating]:
    there = lists >= 0
    sums, count = np.where(there, of_items[lists], 0).sum(axis=1), there.sum(axis=1)
    return np.divide(sums, count, out=np.full(len(lists), np.nan), where=count > 0)
