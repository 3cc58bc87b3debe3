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

    def hits(self, users: NDArray[np.floating], items: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(users, K), see `hits_among`."""
        return hits_among(ranked_lists(products(users, items), self.seen, K), self.targets)


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
