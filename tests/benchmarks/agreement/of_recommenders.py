"""Microsoft Recommenders' figures of ranked lists; see `tests/benchmarks/agreement.py`, which runs this script.

It tells means alone. The values of single users are means over one user, where they are few.
"""

import pandas as pd
from exchange import Cases, Figures, main
from recommenders.evaluation import python_evaluation as peer

NAMES = {"user": "userID", "item": "itemID"}
FEW = 1000
METRICS = {
    "precision_at_10": (peer.precision_at_k, {}),
    "recall_at_10": (peer.recall_at_k, {}),
    "ndcg_at_10": (peer.ndcg_at_k, {"discfun_type": "log2"}),
    "ndcg_at_10, by default": (peer.ndcg_at_k, {}),
    "map_at_10": (peer.map_at_k, {}),
}


def figures(cases: Cases) -> Figures:
    lists, targets, histories = (rows.rename(columns=NAMES) for rows in (cases.lists, cases.targets, cases.histories))
    lists["prediction"], targets["rating"] = -lists.pop("rank").astype(float), 1.0
    found = {name: {"mean": metric(targets, lists, k=cases.k, **more)} for name, (metric, more) in METRICS.items()}
    if cases.users <= FEW:
        alone = list(zip(*(_each(rows, cases.users) for rows in (targets, lists)), strict=True))
        for name, (metric, more) in METRICS.items():
            found[name]["users"] = [_of_one(metric, *both, k=cases.k, **more) for both in alone]
    pairs = lists[["userID", "itemID"]]
    used = pairs["itemID"].unique()
    vectors = pd.DataFrame({"itemID": used, "features": list(cases.vectors[used])})
    of_vectors = {"item_feature_df": vectors, "item_sim_measure": "item_feature_vector"}
    by_user = peer.user_diversity(histories, pairs, **of_vectors).set_index("userID")["user_diversity"]
    return found | {
        "coverage": {"mean": peer.catalog_coverage(histories, pairs)},
        "novelty, of interactions": {"mean": peer.novelty(histories, pairs)},
        "diversity": {"mean": peer.diversity(histories, pairs, **of_vectors), "users": cases.of_users(by_user)},
    }


def _each(rows: pd.DataFrame, users: int) -> list[pd.DataFrame]:
    of = dict(list(rows.groupby("userID")))
    return [of.get(user, rows[:0]) for user in range(users)]


def _of_one(metric, targets: pd.DataFrame, lists: pd.DataFrame, **more) -> float:
    """NaN for whom the mean of many users leaves out: no targets, or but for NDCG no list."""
    counted = len(targets) and (len(lists) or metric is peer.ndcg_at_k)
    return float(metric(targets, lists, **more)) if counted else float("nan")


if __name__ == "__main__":
    main("recommenders", figures)
