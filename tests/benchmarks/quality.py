"""How well the two-tower ranks on public data, beside the published figures of others.

All items are ranked but those that the user has. Epochs are chosen on validation; then the model is tested once as it
stands, and once more after a training of as many epochs in which the validation items take part ("refit"). Nothing is
chosen on the test. How a set is split is told in `public_data`.

`make bench-quality DATA=beauty SEEDS=1` runs one set with one seed; without them all sets with three. Each finished run
is kept in the work folder, so that one that was stopped goes on where it was. Where a set has several seeds, its last
row ranks by the sum of their scores, which is one dot product of their vectors joined end to end.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from recpipe.evaluation.metrics import ndcg_at_k, precision_at_k, recall_at_k
from recpipe.model.contest import Contest, validator
from recpipe.model.examples import known_items
from recpipe.model.training import train
from recpipe.settings import CHECKOUT, ModelSettings
from tests.benchmarks import public_data
from tests.benchmarks.kept import kept, name_of_run
from tests.benchmarks.public_data import REAL, Shop, Split

RECIPE = ModelSettings(
    embedding_size=128,
    batch_size=256,
    epochs=14,
    patience=4,
    item_inputs=("id", "categories"),
)
IDS_ONLY = RECIPE.model_copy(update={"item_inputs": ("id",), "id_weight_decay": 0.01, "graph": False, "epochs": 20})
"""With neither content nor graph, to compare like with like."""
LONG_HISTORIES = IDS_ONLY.model_copy(
    update={
        **{"blocks": 2, "batch_size": 64, "epochs": 40, "patience": 6, "time_gaps": False},
        **{"dropout": 0.2, "item_dropout": 0.1},
    }
)
IN_NO_ORDER = RECIPE.model_copy(
    update={
        **{"user_tower": "mlp", "blocks": 0, "embedding_size": 256, "time_gaps": False},
        **{"weight_decay": 0.1, "id_weight_decay": 0.1},
        **{"batch_size": 32, "epochs": 30, "patience": 30},
    }
)
"""Few users with many items each, in no order. Validation is too noisy then to stop by, so the rate comes down to 0."""

HEAD = (
    *("data", "epochs", "validation", "test, no refit", "test, refit", "NDCG@10 tied and apart"),
    *("published", "bar", "minutes"),
)
METRICS = {"precision_at_10": precision_at_k, "recall_at_10": recall_at_k, "ndcg_at_10": ndcg_at_k}
Figures = Mapping[str, float]


@dataclass(frozen=True)
class DataSet:
    read: Callable[[], Shop]
    split: Callable[[Shop, int, int], Split]
    length: int  # of a history
    variants: Mapping[str, ModelSettings]
    shown: tuple[str, ...]  # keys of `METRICS`
    published: tuple[float, ...]  # best dot products, see the design
    bars: Mapping[str, tuple[float, ...]]


LISTS = ("recall_at_10", "ndcg_at_10")


def _amazon(name: str, published: tuple[float, float], bar: tuple[float, float]) -> DataSet:
    variants = {"full": RECIPE, "ids": IDS_ONLY}
    bars = {"full": bar, "ids": published}
    return DataSet(lambda: public_data.amazon(name), public_data.leave_one_out, 50, variants, LISTS, published, bars)


DATA = {
    "beauty": _amazon("Beauty", (0.0935, 0.0544), (0.123, 0.072)),
    "sports": _amazon("Sports_and_Outdoors", (0.0569, 0.0323), (0.075, 0.0425)),
    "toys": _amazon("Toys_and_Games", (0.0970, 0.0580), (0.134, 0.081)),
    "ml-1m": DataSet(
        public_data.movielens_1m,
        public_data.leave_one_out,
        200,
        {"ids": LONG_HISTORIES},
        LISTS,
        (0.3159, 0.1857),
        {"ids": (0.321, 0.188)},
    ),
    "ml-100k": DataSet(
        public_data.movielens_100k,
        public_data.random_split,
        500,
        {"full": IN_NO_ORDER},
        tuple(METRICS),
        (0.4118, 0.2191, 0.4751),
        {"full": (0.4118, 0.2191, 0.4751)},
    ),
}


def run(data: DataSet, settings: ModelSettings, seed: int) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Figures of one run, and the vectors that its refit gives to the users of the test and to the items."""
    began = time.monotonic()
    shop = data.read()
    split = data.split(shop, data.length, seed)
    inputs = settings.item_inputs
    validate = validator(split.chooses, split.catalogue, inputs)
    chosen = train(split.trial, split.catalogue, settings, seed, validate=validate)
    refit = train(split.whole, split.catalogue, settings, seed, epochs=chosen.epochs)

    def judged(trained, users):
        contest = Contest.of(users, split.catalogue, trained.known, inputs)
        vectors = contest.vectors(trained.model, trained.known)
        return contest, vectors, figures(contest, *vectors)

    contest, (users, items), tested = judged(refit, split.judges)
    found = {
        "epochs": chosen.epochs,
        "validation": judged(chosen, split.chooses)[2],
        "test, no refit": judged(chosen, split.judges)[2],
        "test": tested,
        "minutes": (time.monotonic() - began) / 60,
    }
    if shop.tied is not None:
        found["tied"], found["apart"] = (figures(contest, users, items, of) for of in (shop.tied, ~shop.tied))
    return found, {"users": users, "items": items}


def figures(
    contest: Contest, users: np.ndarray, items: np.ndarray, of: np.ndarray | slice = slice(None)
) -> dict[str, float]:
    """Means over the users that ``of`` names."""
    hits, wanted = contest.hits(users, items), contest.targets.lengths()
    return {name: float(np.nanmean(metric(hits, wanted)[of])) for name, metric in METRICS.items()}


def kept_run(work: Path, name: str, variant: str, seed: int) -> tuple[dict[str, object], Path]:
    """The run as it was kept, or a new one, and its vectors' file. A run of other code or settings is another run."""
    settings = DATA[name].variants[variant]
    file = work / f"{name}-{variant}-{seed}-{name_of_run(settings)}.json"
    vectors = file.with_suffix(".npz")
    if not vectors.exists():
        file.unlink(missing_ok=True)  # without them it is no whole run

    def told() -> dict[str, object]:
        print(f"{name}, {variant}, seed {seed}", flush=True)
        found, arrays = run(DATA[name], settings, seed)
        np.savez(vectors, **arrays)
        return found

    return kept(file, told), vectors


def joined(data: DataSet, inputs: Sequence[str], kept: Sequence[Path]) -> dict[str, float]:
    """Figures of the seeds' vectors joined end to end; only where all seeds have one split."""
    shop = data.read()
    split = data.split(shop, data.length, 0)
    known = known_items(split.whole().items)
    contest = Contest.of(split.judges, split.catalogue, known, inputs)
    arrays = [np.load(file) for file in kept]
    return figures(contest, *(np.concatenate([one[side] for one in arrays], axis=1) for side in ("users", "items")))


def row(name: str, variant: str, runs: Sequence[dict]) -> str:
    data = DATA[name]
    cells = [f"{name}, {variant}", ", ".join(str(one["epochs"]) for one in runs)]
    for part in ("validation", "test, no refit", "test"):
        cells.append(_figures([one[part] for one in runs], data.shown))
    ties = ("tied", "apart") if "tied" in runs[0] else ()
    cells.append(" and ".join(_figures([one[part] for one in runs], data.shown[-1:], spread=False) for part in ties))
    cells += ["/".join(f"{value:.4f}" for value in values) for values in (data.published, data.bars[variant])]
    return " | ".join(["", *cells, f"{mean(one['minutes'] for one in runs):.1f}", ""]).strip()


def _figures(found: Sequence[Figures], shown: Sequence[str], spread: bool = True) -> str:
    values = ([one[metric] for one in found] for metric in shown)
    return "/".join(
        f"{mean(each):.4f}" + (f" ± {stdev(each):.4f}" if spread and len(each) > 1 else "") for each in values
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, nargs="*", default=list(DATA))
    parser.add_argument("--variants", nargs="*", default=["full", "ids"], help="full, ids")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--work", type=Path, default=CHECKOUT / ".bench" / "quality", help="folder that keeps runs")
    options = parser.parse_args()
    if not REAL.exists():
        print(f"skipped: the data is not here, {REAL}")
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    rows, told = [], []
    for name in options.data:
        for variant in [one for one in options.variants if one in DATA[name].variants]:
            kept = [kept_run(options.work, name, variant, seed) for seed in range(options.seeds)]
            runs = [found for found, _ in kept]
            rows.append(row(name, variant, runs))
            means = {metric: round(mean(one["test"][metric] for one in runs), 4) for metric in DATA[name].shown}
            minutes = round(sum(one["minutes"] for one in runs), 1)
            told.append({"data": name, "variant": variant, "seeds": len(runs), **means, "minutes": minutes})
            if len(kept) > 1 and DATA[name].split is public_data.leave_one_out:
                inputs, files = DATA[name].variants[variant].item_inputs, [file for _, file in kept]
                whole = _figures([joined(DATA[name], inputs, files)], DATA[name].shown)
                rows.append(f"| {name}, {variant}, {len(kept)} joined | | | | {whole} | | | | |")
    print("", f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *rows, sep="\n")
    for line in told:
        print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
