"""LensKit's figures of ranked lists; see `tests/benchmarks/agreement.py`, which runs this script.

The means are of what it gives to single lists. Its own summary of a run counts NaN as 0.
"""

import numpy as np
from exchange import Cases, Figures, main
from lenskit.data import ItemList, from_interactions_df
from lenskit.metrics import NDCG, Hit, ListMetric, LogRankWeight, MeanPopRank, Precision, Recall, RecipRank
from lenskit.metrics.ranking import AveragePrecision


def measured(metric: ListMetric, ranked: ItemList, wanted: ItemList) -> float:
    try:
        return float(metric.measure_list(ranked, wanted))
    except ZeroDivisionError:  # average precision of a list for a user without targets
        return float("nan")


def figures(cases: Cases) -> Figures:
    k = cases.k
    metrics = {
        "precision_at_10": Precision(k),
        "recall_at_10": Recall(k),
        "ndcg_at_10": NDCG(k, weight=LogRankWeight(offset=1)),
        "ndcg_at_10, by default": NDCG(k),
        "map_at_10": AveragePrecision(k),
        "mrr_at_10": RecipRank(k),
        "hit_rate_at_10": Hit(k),
        "popularity": MeanPopRank(from_interactions_df(cases.histories, user_col="user", item_col="item"), n=k),
    }
    ranked = [ItemList(item_ids=items, ordered=True) for items in cases.each(cases.lists)]
    wanted = [ItemList(item_ids=items) for items in cases.each(cases.targets)]
    found = {}
    for name, metric in metrics.items():
        values = [measured(metric, *both) for both in zip(ranked, wanted, strict=True)]
        found[name] = {"mean": float(np.nanmean(values)), "users": values}
    return found


if __name__ == "__main__":
    main("lenskit", figures)
