"""How well the two-tower ranks on public data, beside the published figures of others.

The protocol is leave-one-out: a user's last item is for the test, the one before for validation; all items are ranked
but those that the user has. Epochs are chosen on validation; then the model is tested once as it stands, and once more
after a training of as many epochs in which the validation items take part ("refit"). Nothing is chosen on the test.

`make bench-quality DATA=beauty SEEDS=1` runs one set with one seed; without them all sets with three. Each finished run
is kept in the work folder, so that one that was stopped goes on where it was.
"""

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from recpipe.evaluation.metrics import Lists, ndcg_at_k, ranking_hits, recall_at_k
from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.examples import Sequences
from recpipe.model.training import Trained, train, vectors
from recpipe.settings import CHECKOUT, ModelSettings, code_hash

REAL = CHECKOUT.parent / "shared" / "data"
HISTORY_LENGTH, K, SECONDS_A_DAY = 50, 10, 86_400
RECIPE = ModelSettings(
    embedding_size=128,
    batch_size=256,
    epochs=14,
    patience=4,
    item_inputs=("id", "categories"),
)
IDS_ONLY = RECIPE.model_copy(update={"item_inputs": ("id",), "graph": False, "epochs": 20})
"""With neither content nor graph, to compare like with like."""


@dataclass(frozen=True)
class DataSet:
    folder: str
    name: str
    published: tuple[float, float]  # best Recall@10 and NDCG@10 of a dot product, see the design
    bar: tuple[float, float]


DATA = {
    "beauty": DataSet("amazon2014_s3rec", "Beauty", (0.0935, 0.0544), (0.123, 0.072)),
    "sports": DataSet("amazon2014_s3rec", "Sports_and_Outdoors", (0.0569, 0.0323), (0.075, 0.0425)),
    "toys": DataSet("amazon2014_s3rec", "Toys_and_Games", (0.0970, 0.0580), (0.134, 0.081)),
}
VARIANTS = {"full": RECIPE, "ids": IDS_ONLY}


@dataclass(frozen=True)
class Shop:
    """Every user's items in the order of time, and the days on which they came."""

    items: list[list[int]]
    days: list[list[int]]
    catalogue: Catalogue

    def before(self, last: int) -> Sequences:
        """Histories without the ``last`` items of each user, cut to `HISTORY_LENGTH` and one."""
        n = HISTORY_LENGTH + 1
        shape = (len(self.items), n)
        items, days, types = np.full(shape, -1, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for row, (its, theirs) in enumerate(zip(self.items, self.days, strict=True)):
            kept = its[: len(its) - last][-n:]
            items[row, n - len(kept) :] = kept
            days[row, n - len(kept) :] = theirs[: len(its) - last][-n:]
            types[row, n - len(kept) :] = 4
        return Sequences(items, days, types)

    def judge(self, trained: Trained, last: int) -> dict[str, float]:
        """Figures for each user's item before the ``last - 1`` last ones, given all before it."""
        histories = self.before(last)
        histories = Sequences(histories.items[:, 1:], histories.days[:, 1:], histories.types[:, 1:])
        catalogue = self.catalogue.of_items(trained.known)
        users, items = vectors(trained.model, trained.known, histories, catalogue)
        place = {number: at for at, number in enumerate(trained.known.tolist())}
        seen = Lists.of([[place.get(item, -1) for item in its[:-last]] for its in self.items])
        targets = Lists.of([[place.get(its[-last], -1)] for its in self.items])
        hits = ranking_hits(users, items, seen, targets, K)
        figures = {"recall_at_10": recall_at_k, "ndcg_at_10": ndcg_at_k}
        return {name: float(np.mean(metric(hits, targets.lengths()))) for name, metric in figures.items()}


def read_amazon(folder: Path, name: str) -> Shop:
    attributes = json.loads((folder / f"{name}_item2attributes.json").read_text())
    items, days = [], []
    with gzip.open(folder / f"{name}_time_deltas.txt.gz", "rt") as lines:
        for line in lines:
            its, gaps = ([int(part) for part in half.split()] for half in line.split("\t"))
            items.append(its[1:])
            seconds = np.cumsum([0, *gaps[:-1]])
            days.append((10_000 + seconds // SECONDS_A_DAY).tolist())
    numbers = np.unique(np.concatenate([np.array(its) for its in items])).astype(np.int32)
    most = max(map(len, attributes.values()))
    categories = np.zeros((len(numbers), most), np.int32)
    for row, number in enumerate(numbers.tolist()):
        its = attributes.get(str(number), [])
        categories[row, : len(its)] = its
    content = replace(ItemContent.none(len(numbers)), categories=categories)
    return Shop(items, days, Catalogue(numbers, content))


def run(shop: Shop, settings: ModelSettings, seed: int) -> dict[str, object]:
    began = time.monotonic()
    trial, whole = shop.before(2), shop.before(1)

    def validate(model, known):
        return shop.judge(Trained(model, known, 0, 0, ()), 2)["ndcg_at_10"]

    chosen = train(lambda: trial, shop.catalogue, settings, seed, validate=validate)
    refit = train(lambda: whole, shop.catalogue, settings, seed, epochs=chosen.epochs)
    return {
        "epochs": chosen.epochs,
        "validation": shop.judge(chosen, 2),
        "test, no refit": shop.judge(chosen, 1),
        "test": shop.judge(refit, 1),
        "minutes": (time.monotonic() - began) / 60,
    }


def kept_run(work: Path, name: str, variant: str, seed: int) -> dict[str, object]:
    """The run as it was kept, or a new one. A run of other code or settings is another run."""
    settings = VARIANTS[variant]
    of = hashlib.sha256(f"{code_hash()} {settings.model_dump_json()}".encode()).hexdigest()[:12]
    file = work / f"{name}-{variant}-{seed}-{of}.json"
    if not file.exists():
        print(f"{name}, {variant}, seed {seed}", flush=True)
        found = run(read_amazon(REAL / DATA[name].folder, DATA[name].name), settings, seed)
        staged = file.with_suffix(".part")
        staged.write_text(json.dumps(found))
        staged.rename(file)
    return json.loads(file.read_text())


def row(name: str, variant: str, runs: Sequence[dict]) -> str:
    cells = [f"{name}, {variant}", ", ".join(str(one["epochs"]) for one in runs)]
    for part in ("validation", "test, no refit", "test"):
        cells.append(
            "/".join(_spread([one[part][metric] for one in runs]) for metric in ("recall_at_10", "ndcg_at_10"))
        )
    cells.append("/".join(f"{value:.4f}" for value in DATA[name].published))
    cells.append("/".join(f"{value:.4f}" for value in DATA[name].bar) if variant == "full" else "")
    return " | ".join(["", *cells, f"{mean(one['minutes'] for one in runs):.1f}", ""]).strip()


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, nargs="*", default=list(DATA))
    parser.add_argument("--variants", choices=VARIANTS, nargs="*", default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--work", type=Path, default=CHECKOUT / ".bench" / "quality", help="folder that keeps runs")
    options = parser.parse_args()
    if not REAL.exists():
        print(f"skipped: the data is not here, {REAL}")
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    rows, found = [], {}
    for name in options.data:
        for variant in options.variants:
            runs = [kept_run(options.work, name, variant, seed) for seed in range(options.seeds)]
            rows.append(row(name, variant, runs))
            found[name, variant] = runs
    print("\n| data | epochs | validation R/N@10 | test, no refit | test, refit | published | bar | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    for (name, variant), runs in found.items():
        figures = {metric: round(mean(one["test"][metric] for one in runs), 4) for metric in runs[0]["test"]}
        minutes = round(sum(one["minutes"] for one in runs), 1)
        print(json.dumps({"data": name, "variant": variant, "seeds": len(runs), **figures, "minutes": minutes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
