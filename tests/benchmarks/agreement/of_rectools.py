"""RecTools' figures of ranked lists; see `tests/benchmarks/agreement.py`, which runs this script.

Its distances of items are Hamming's alone, so the cosine comes from here; which pairs count and how is RecTools'.
"""

import numpy as np
from exchange import Cases, Figures, main
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, HitRate, IntraListDiversity, MeanInvUserFreq, Precision, Recall
from rectools.metrics.catalog import CatalogCoverage
from rectools.metrics.distances import PairwiseDistanceCalculator
from rectools.metrics.popularity import AvgRecPopularity

NAMES = {"user": Columns.User, "item": Columns.Item, "rank": Columns.Rank}


class Cosine(PairwiseDistanceCalculator):
    def __init__(self, vectors: np.ndarray) -> None:
        self.unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _get_distances_for_item_pairs(self, items_0: np.ndarray, items_1: np.ndarray) -> np.ndarray:
        firsts, seconds = (self.unit[np.asarray(items, dtype=int)] for items in (items_0, items_1))
        return 1 - (firsts * seconds).sum(axis=1)


def figures(cases: Cases) -> Figures:
    lists, targets, histories = (rows.rename(columns=NAMES) for rows in (cases.lists, cases.targets, cases.histories))
    k = cases.k
    of_hits = {
        "precision_at_10": Precision(k),
        "recall_at_10": Recall(k),
        "ndcg_at_10": NDCG(k, divide_by_achievable=True),
        "ndcg_at_10, by default": NDCG(k),
        "map_at_10": MAP(k),
        "mrr_at_10": MRR(k),
        "hit_rate_at_10": HitRate(k),
    }
    asked = {name: (metric, (lists, targets)) for name, metric in of_hits.items()}
    asked["novelty"] = MeanInvUserFreq(k), (lists, histories)
    asked["popularity"] = AvgRecPopularity(k), (lists, histories)
    asked["diversity"] = IntraListDiversity(k, Cosine(cases.vectors)), (lists,)
    found = {}
    for name, (metric, given) in asked.items():
        found[name] = {"mean": metric.calc(*given), "users": cases.of_users(metric.calc_per_user(*given))}
    catalogue = range(len(cases.vectors))
    return found | {"coverage": {"mean": CatalogCoverage(k, normalize=True).calc(lists, catalogue)}}


if __name__ == "__main__":
    main("rectools", figures)
