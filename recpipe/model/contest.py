"""Ranking items for the users that a model is judged on."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.metrics import Lists, hits_among, ndcg_at_k, products, ranked_lists
from recpipe.model.content import Catalogue
from recpipe.model.examples import EvaluationUsers, Sequences, positions
from recpipe.model.towers import TwoTower
from recpipe.model.training import Validate, vectors

K = 10


@dataclass(frozen=True)
class Contest:
    """The items that are ranked, and the users they are ranked for; what a user has and wants are places among them."""

    ranked: Catalogue
    histories: Sequences  # (users, history_length) of item numbers
    seen: Lists
    targets: Lists  # -1: an item that is not ranked, so that nothing can find it
    strangers: Lists  # targets of users who have nothing

    @classmethod
    def of(
        cls, users: EvaluationUsers, catalogue: Catalogue, known: NDArray[np.int32], inputs: Collection[str]
    ) -> Self:
        """Of every item that a model has a vector for, see `Catalogue.rankable`."""
        ranked = catalogue.rankable(known, inputs)
        lists = (_among(items, ranked.numbers) for items in (users.seen, users.targets, users.strangers))
        return cls(ranked, users.histories, *lists)

    def vectors(self, model: TwoTower, known: NDArray[np.int32]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        return vectors(model, known, self.histories, self.ranked)

    def lists(self, users: NDArray[np.floating], items: NDArray[np.floating]) -> NDArray[np.integer]:
        """(users, K) places of ranked items, -1 where there is none: of those users and items that a night would give
        vectors; see `with_vectors`."""
        whom, which = with_vectors(self.histories, self.ranked.numbers, items)
        scores = products(users, items)

        def of_those(first: int, last: int) -> NDArray[np.floating]:
            found = scores(first, last)
            found[:, ~which] = -np.inf
            return found

        lists = ranked_lists(scores if which.all() else of_those, self.seen, K)
        lists[~whom] = -1
        return lists

    def hits(self, users: NDArray[np.floating], items: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(users, K), see `hits_among`."""
        return hits_among(self.lists(users, items), self.targets)


def with_vectors(
    histories: Sequences, numbers: NDArray[np.int32], items: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which users and which items a model says something about.

    An item whose vector is zero but for the bias has an id and content that nobody was trained on, such as a new brand;
    a user with such items alone, or none, has a vector that is the same for all of them.

    Args:
        histories: (users, length) of item numbers.
        numbers: (items,) of the items.
        items: (items, size + 1), as `vectors` gives them.

    Returns:
        (users,) and (items,).
    """
    which = items[:, :-1].any(axis=1)
    return np.isin(histories.items, numbers[which]).any(axis=1), which


def _among(items: Lists, ranked: NDArray[np.int32]) -> Lists:
    return replace(items, values=positions(items.values, ranked, missing=-1))


def validator(users: EvaluationUsers, catalogue: Catalogue, inputs: Collection[str]) -> Validate:
    """Gives a model's mean NDCG@10 over ``users``, ranking every item that it has a vector for but those seen."""

    def prepared(known: NDArray[np.int32]):
        contest = Contest.of(users, catalogue, known, inputs)

        def ndcg(model: TwoTower) -> float:
            hits = contest.hits(*contest.vectors(model, known))
            return float(np.nanmean(ndcg_at_k(hits, contest.targets.lengths())))

        return ndcg

    return prepared
