"""Ranked lists by which recpipe's metrics are compared with those of its peers: drawn ones with every corner, and real
ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation import lists as of_lists
from recpipe.evaluation.baselines import popular_all_time
from recpipe.evaluation.categories import category_shares
from recpipe.evaluation.metrics import METRICS, Lists, hits_among, ranked_lists
from recpipe.model.examples import positions
from tests.benchmarks import public_data

K = 10
LIST_LENGTHS = (0, 1, 6, K)
TARGET_COUNTS = (0, 1, 4, K, K + 5)
NEVER_HAD = 15
"""Candidates at the end that are in no history; as many at the start are in no list."""


@dataclass(frozen=True)
class Cases:
    """Candidates by number; nobody's list holds an item of the same user's history."""

    lists: NDArray[np.integer]  # (users, K), -1 after the last
    targets: Lists  # -1: no candidate
    histories: Lists
    vectors: NDArray[np.floating]  # (candidates, size), none of length 0

    @property
    def owners(self) -> NDArray[np.integer]:
        """(candidates,): how many users had each."""
        return np.bincount(self.histories.values, minlength=len(self.vectors))

    @property
    def hits(self) -> NDArray[np.bool_]:
        return hits_among(self.lists, self.targets)

    @property
    def listed(self) -> NDArray[np.integer]:
        """(users,): items in the list."""
        return (self.lists >= 0).sum(axis=1)

    @property
    def lists_are_of_had_items(self) -> bool:
        return bool(self.owners[self.lists[self.lists >= 0]].all())

    def figures(self) -> dict[str, NDArray[np.floating]]:
        """recpipe's: one value a user, or one in all."""
        found = {name: metric(self.hits, self.targets.lengths()) for name, metric in METRICS.items()}
        had = int((self.histories.lengths() > 0).sum())
        per_item = of_lists.novelty(self.lists, self.owners, len(self.histories.values))
        some = self.listed > 0
        return found | {
            "ndcg_at_10, by default": found["ndcg_at_10"],
            "coverage": np.array([of_lists.coverage(self.lists, len(self.vectors))]),
            "novelty": of_lists.novelty(self.lists, self.owners, had),
            "novelty, of interactions": np.array([np.average(per_item[some], weights=self.listed[some])]),
            "popularity": of_lists.popularity(self.lists, self.owners),
            "diversity": of_lists.diversity(self.lists, self.vectors),
        }

    def save(self, file: Path) -> None:
        """For the peers. A target that is no candidate gets a number that nothing else has."""
        targets = _pairs(self.targets)
        lost = targets[:, 1] < 0
        targets[lost, 1] = len(self.vectors) + np.arange(lost.sum())
        arrays = {"lists": self.lists, "targets": targets, "histories": _pairs(self.histories), "vectors": self.vectors}
        np.savez_compressed(file, **arrays)


def _pairs(lists: Lists) -> NDArray[np.integer]:
    """(values, 2): user and value."""
    return np.stack([np.repeat(np.arange(len(lists)), lists.lengths()), lists.values], axis=1)


def corners(cases: Cases) -> Mapping[str, NDArray[np.bool_]]:
    """By name, (users,): on whom definitions part."""
    listed, wanted, hit = cases.listed, cases.targets.lengths(), cases.hits.any(axis=1)
    lost, _ = _pairs(cases.targets)[cases.targets.values < 0].T
    unknown = (cases.lists >= 0) & (cases.owners[cases.lists] == 0)
    return {
        "an empty list": listed == 0,
        "a list of one": listed == 1,
        "a list of fewer than k": (listed < K) & (listed > 1),
        "no targets": wanted == 0,
        "neither": (wanted == 0) & (listed == 0),
        "k targets": wanted == K,
        "more targets than k": wanted > K,
        "a hit": hit,
        "targets and no hit": ~hit & (wanted > 0) & (listed > 0),
        "a target that is no candidate": np.isin(np.arange(len(listed)), lost),
        "an item that nobody had": unknown.any(axis=1),
        "no history": cases.histories.lengths() == 0,
    }


def drawn_cases(seed: int, users: int = 600, candidates: int = 150) -> Cases:
    draw = np.random.default_rng(seed)
    lists, targets, histories = np.full((users, K), -1), [], []
    for user in range(users):
        order = draw.permutation(candidates)
        its, others = np.split(order, [draw.integers(0, 8)])
        histories.append([item for item in its.tolist() if item < candidates - NEVER_HAD])
        length, others = draw.choice(LIST_LENGTHS), others[others >= NEVER_HAD]
        lists[user, :length] = others[:length]
        wanted = draw.permutation(others[: 3 * K])[: draw.choice(TARGET_COUNTS)].tolist()
        targets.append([*wanted[:-1], -1] if wanted and draw.random() < 0.2 else wanted)
    return Cases(lists, Lists.of(targets), Lists.of(histories), draw.normal(size=(candidates, 8)))


def popular_beauty() -> Cases:
    """The most popular items of Beauty for its users, whose last quarter of items is to be found."""
    shop = public_data.amazon("Beauty")
    kept = [len(its) - max(len(its) // 4, 1) for its in shop.items]
    parts = [(its[:count], its[count:]) for its, count in zip(shop.items, kept, strict=True)]
    numbers = shop.catalogue.numbers
    histories, targets = (
        Lists(positions(of.values, numbers, -1), of.offsets) for of in map(Lists.of, zip(*parts, strict=True))
    )
    popular = popular_all_time(histories.values, len(numbers))
    lists = ranked_lists(lambda first, last: np.tile(popular, (last - first, 1)), histories, K)
    return Cases(lists, targets, histories, category_shares(shop.catalogue.content.categories).toarray())
