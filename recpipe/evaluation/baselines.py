"""What a model must beat, from the same rows that trained it: popularity, and two of the library `implicit`.

Each gives the scores of all candidates for the users that a model is judged on, -inf where it says nothing of one. A
shop that served it would fill the places left with popular items, as a night does: see `metrics.filled`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix
from threadpoolctl import threadpool_limits

from recpipe.evaluation.categories import category_mix, category_shares
from recpipe.evaluation.metrics import Lists, Scores, products

RECENT_DAYS = 30
EPOCH = date(1970, 1, 1)
NEIGHBOURS = 100
FACTORS = 64


@dataclass(frozen=True)
class Known:
    """What all models are given: who met what up to a day. Items are candidates' numbers, others are padding."""

    items: NDArray[np.integer]  # (rows, length), a user a row
    days: NDArray[np.integer]  # (rows, length), since 1970-01-01
    had: NDArray[np.bool_]  # (rows, length): not only viewed or put into the cart
    until: date
    categories: NDArray[np.integer]  # (candidates, most), see `category_shares`

    @property
    def candidates(self) -> int:
        return len(self.categories)

    @cached_property
    def owners(self) -> NDArray[np.integer]:
        """(candidates,): how many users have each."""
        return np.bincount(self._users_by_item(self.items_had).indices, minlength=self.candidates)

    @cached_property
    def popular(self) -> NDArray[np.integer]:
        """(candidates,): the most popular first, in a night's order: by the last RECENT_DAYS days, by all time, then
        by number, whose order is that of ids within an arrival."""
        recent = popular_recent(self.items_had, self.days, self.candidates, self.until)
        return np.lexsort((-self.all_time, -recent))

    @cached_property
    def all_time(self) -> NDArray[np.floating]:
        return popular_all_time(self.items_had, self.candidates)

    @cached_property
    def items_had(self) -> NDArray[np.integer]:
        """As ``items``, without those that were only met: popular lists are of these, as the served ones are."""
        return np.where(self.had, self.items, -1)

    @cached_property
    def matrix(self) -> csr_matrix:
        """(rows, candidates): 1 for every item that a user met, however often."""
        return self._users_by_item(self.items)

    def _users_by_item(self, items: NDArray[np.integer]) -> csr_matrix:
        rows, columns = np.nonzero((items >= 0) & (items < self.candidates))
        return _ones(rows, items[rows, columns], (len(items), self.candidates))


def baselines(known: Known, histories: Lists, seed: int) -> Mapping[str, Scores]:
    """All of them by name, ``histories`` being what the judged users met."""
    met = known.matrix
    profiles = _ones(*histories.cells(0, len(histories)), (len(histories), known.candidates))
    by_all_time = known.popular[np.argsort(-known.all_time[known.popular], kind="stable")]
    with threadpool_limits(1, "blas"):  # implicit has threads of its own, and one gives the same bits everywhere
        return {
            "popular_all_time": _in_order(by_all_time),
            "popular_recent": _in_order(known.popular),
            "popular_in_category": _positive(popular_in_category(known.all_time, histories, known.categories)),
            "item_knn": _positive(item_knn(met, profiles)),
            "als": _positive(als(met, profiles, seed)),
        }


def popular_all_time(items: NDArray[np.integer], candidates: int) -> NDArray[np.floating]:
    """Interactions of each candidate, (candidates,). ``items`` holds candidates' numbers; others are padding."""
    return np.bincount(items[(items >= 0) & (items < candidates)], minlength=candidates).astype(float)


def popular_recent(
    items: NDArray[np.integer], days: NDArray[np.integer], candidates: int, until: date
) -> NDArray[np.floating]:
    """Interactions of each candidate in the RECENT_DAYS days up to and including ``until``, (candidates,).

    ``days`` has the shape of ``items`` and counts from 1970-01-01.
    """
    first = (until - timedelta(days=RECENT_DAYS - 1) - EPOCH).days
    return popular_all_time(items[days >= first], candidates)


def popular_in_category(popular: NDArray[np.floating], histories: Lists, categories: NDArray[np.integer]) -> Scores:
    """An item's interactions times the share that its categories have in the user's history."""
    of_items = category_shares(categories)
    mix = category_mix(*histories.cells(0, len(histories)), len(histories), of_items)
    weighted = (of_items * popular[:, None]).T.tocsr()  # (categories, candidates)
    return lambda first, last: (mix[first:last] @ weighted).toarray()


def item_knn(met: csr_matrix, profiles: csr_matrix) -> Scores:
    """The cosines of the users who met an item with those of each item of the user, added up over its NEIGHBOURS
    nearest (Sarwar et al., 2001)."""
    if not met.nnz:
        return _for_all(np.zeros(met.shape[1]))
    model = CosineRecommender(K=NEIGHBOURS, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # of how implicit passes a matrix to itself
        model.fit(met, show_progress=False)
    return lambda first, last: (profiles[first:last] @ model.similarity).toarray()


def als(met: csr_matrix, profiles: csr_matrix, seed: int) -> Scores:
    """Matrix factorisation of who met what by alternating least squares (Hu et al., 2008); a judged user's factors
    come of what the user met."""
    if not met.nnz:
        return _for_all(np.zeros(met.shape[1]))
    model = AlternatingLeastSquares(factors=FACTORS, num_threads=1, random_state=seed)
    model.fit(met, show_progress=False)
    return products(model.recalculate_user(np.arange(profiles.shape[0]), profiles), model.item_factors)


def _in_order(candidates: NDArray[np.integer]) -> Scores:
    """The first of them best, alike for every user."""
    scores = np.empty(len(candidates))
    scores[candidates] = np.arange(len(candidates), 0, -1)
    return _for_all(scores)


def _positive(scores: Scores) -> Scores:
    """Those above 0: what has no neighbour, factor or category in common with the user has a score of 0."""

    def of_those(first: int, last: int) -> NDArray[np.floating]:
        found = scores(first, last)
        found[found <= 0] = -np.inf
        return found

    return of_those


def _for_all(scores: NDArray[np.floating]) -> Scores:
    """Alike for every user."""
    return lambda first, last: np.tile(scores, (last - first, 1))


def _ones(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> csr_matrix:
    pairs = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    pairs.sum_duplicates()
    pairs.data[:] = 1
    return csr_matrix(pairs)  # the kind that implicit reads
