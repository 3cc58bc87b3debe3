"""For whom the metrics of RecTools, LensKit and Microsoft Recommenders are recpipe's, and how they are defined else.

Read from the source of the versions that `agreement/` pins; `agreement.py` tests it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.ranking_cases import Cases, K


@dataclass(frozen=True)
class Expected:
    """Whom a peer must give recpipe's value, or whether it must in all, and why it gives others another."""

    where: Callable[[Cases], NDArray[np.bool_] | bool] = lambda cases: True
    why: str = ""


def has_list(cases: Cases) -> NDArray[np.bool_]:
    return cases.listed > 0


def whole_list_and_targets(cases: Cases) -> NDArray[np.bool_]:
    return (cases.listed == K) & (cases.targets.lengths() > 0)


def neither(cases: Cases) -> NDArray[np.bool_]:
    """Without list and targets: undefined everywhere."""
    return (cases.listed == 0) & (cases.targets.lengths() == 0)


def no_hit(cases: Cases) -> NDArray[np.bool_]:
    return ~cases.hits.any(axis=1)


def few_targets_or_no_hit(cases: Cases) -> NDArray[np.bool_]:
    return (cases.targets.lengths() <= K) | no_hit(cases)


SAME = Expected()
LEFT_OUT = Expected(
    lambda cases: has_list(cases) | neither(cases), "leaves a user with an empty list out, who is 0 here"
)
EXPECTED: Mapping[str, Mapping[str, Expected]] = {
    "precision_at_10": {
        "rectools": SAME,
        "lenskit": Expected(
            lambda cases: whole_list_and_targets(cases) | neither(cases),
            "divides by the items in the list, here by k; a user without targets is 0, here undefined",
        ),
        "recommenders": LEFT_OUT,
    },
    "recall_at_10": {
        "rectools": SAME,
        "lenskit": Expected(few_targets_or_no_hit, "divides by at most k targets, here by all"),
        "recommenders": LEFT_OUT,
    },
    "ndcg_at_10": {"rectools": SAME, "lenskit": SAME, "recommenders": SAME},
    "ndcg_at_10, by default": {
        "rectools": Expected(
            lambda cases: (cases.targets.lengths() >= K) | no_hit(cases),
            "the ideal list has k targets, here as many as the user, at most k",
        ),
        "lenskit": Expected(no_hit, "discounts by log2(max(rank, 2)), here by log2(rank + 1)"),
        "recommenders": SAME,
    },
    "map_at_10": {
        "rectools": Expected(few_targets_or_no_hit, "divides by all targets, here by at most k"),
        "lenskit": Expected(
            lambda cases: (has_list(cases) & no_hit(cases)) | whole_list_and_targets(cases) | neither(cases),
            "divides by at most as many targets as the list has items, here by at most k; an empty list is undefined, "
            "here 0; a list for a user without targets is a ZeroDivisionError, here undefined",
        ),
        "recommenders": LEFT_OUT,
    },
    "mrr_at_10": {"rectools": SAME, "lenskit": SAME},
    "hit_rate_at_10": {"rectools": SAME, "lenskit": SAME},
    "coverage": {
        "rectools": SAME,
        "recommenders": Expected(
            lambda cases: bool(cases.owners.all()), "divides by the items of all histories, here by all candidates"
        ),
    },
    "novelty": {"rectools": SAME},
    "novelty, of interactions": {
        "recommenders": Expected(
            lambda cases: cases.lists_are_of_had_items,
            "takes shares of interactions, as in this row, and not of users; an item that nobody had adds 0, here as "
            "much as one that was had once",
        ),
    },
    "popularity": {
        "rectools": SAME,
        "lenskit": Expected(lambda cases: ~has_list(cases), "means the quantile of an item's popularity"),
    },
    "diversity": {
        "rectools": Expected(lambda cases: cases.listed != 1, "a list of one is 0, here undefined"),
        "recommenders": SAME,
    },
}
