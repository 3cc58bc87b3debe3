"""What each idea of the model is worth: the benchmark's settings with one thing changed at a time, by validation alone.

Beauty (Amazon 2014) is learned from all items of a user but the last two; the figure is NDCG@10 of the item before the
last at the best epoch, all items ranked but those that the user has. Nothing here reads the test.

`make bench-ablation` takes some five minutes a row on a quiet machine, the "256 numbers" twice that. Finished rows are
kept in the work folder, so that a run that was stopped goes on where it was.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from recpipe.model.contest import validator
from recpipe.model.training import train
from recpipe.settings import CHECKOUT, ModelSettings
from tests.benchmarks import public_data
from tests.benchmarks.kept import kept, name_of_run
from tests.benchmarks.quality import RECIPE

LENGTH = 50
SAMPLED = {"loss": "sampled_softmax", "negatives": 2048}
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "nothing changed": {},
    "ids decay no more than the rest": {"id_weight_decay": 0.01},
    "256 numbers a vector": {"embedding_size": 256},
    "64 numbers a vector": {"embedding_size": 64},
    "ids alone, without categories": {"item_inputs": ("id",)},
    "no graph step": {"graph": False},
    "no time gaps": {"time_gaps": False},
    "no item of a history dropped whole": {"item_dropout": 0.0},
    "no id dropped": {"id_dropout": 0.0},
    "no edge of the graph dropped": {"edge_dropout": 0.0},
    "dropout .2 instead of .35": {"dropout": 0.2},
    "gated fusion instead of a sum": {"fusion": "gated"},
    "two blocks of attention": {"blocks": 2},
    "four heads": {"heads": 4},
    "user tower gru": {"user_tower": "gru"},
    "user tower lstm": {"user_tower": "lstm"},
    "user tower mlp": {"user_tower": "mlp"},
    "2,048 mixed negatives, logQ": SAMPLED,
    "2,048 mixed negatives, no logQ": SAMPLED | {"logq": "none"},
    "2,048 uniform negatives": SAMPLED | {"sampler": "uniform"},
    "256 uniform negatives": SAMPLED | {"sampler": "uniform", "negatives": 256},
    "256 in-batch negatives, logQ": SAMPLED | {"sampler": "in_batch", "negatives": 256},
    "BPR, 256 uniform negatives": {"loss": "bpr", "sampler": "uniform", "negatives": 256},
    "BCE, 256 uniform negatives": {"loss": "bce", "sampler": "uniform", "negatives": 256},
}


def settings_of(change: str) -> ModelSettings:
    """Raises pydantic's error if the change clashes with the rest."""
    return ModelSettings(**(RECIPE.model_dump() | CHANGES[change]))


def run(change: str, seed: int) -> dict[str, float]:
    shop, settings = public_data.amazon("Beauty"), settings_of(change)
    split = public_data.leave_one_out(shop, LENGTH, seed)
    began = time.monotonic()
    validate = validator(split.chooses, split.catalogue, settings.item_inputs)
    found = train(split.trial, split.catalogue, settings, seed, validate=validate)
    return {
        "epoch": found.epochs,
        "ndcg_at_10": max(epoch.ndcg for epoch in found.log),
        "minutes": (time.monotonic() - began) / 60,
    }


def kept_run(work: Path, change: str, seed: int) -> dict[str, float]:
    def told() -> dict[str, float]:
        print(f"{change}, seed {seed}", flush=True)
        return run(change, seed)

    return kept(work / f"{name_of_run(settings_of(change))}-{seed}.json", told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", nargs="*", choices=CHANGES, default=list(CHANGES), help="what to change, by name")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--work", type=Path, default=CHECKOUT / ".bench" / "ablation", help="folder that keeps runs")
    options = parser.parse_args()
    if not public_data.REAL.exists():
        print(f"skipped: the data is not here, {public_data.REAL}")
        return 0
    found, rows = {}, []
    for change in ["nothing changed", *(one for one in options.changes if CHANGES[one])]:
        runs = [kept_run(options.work, change, seed) for seed in range(options.seeds)]
        found[change] = ndcg = mean(one["ndcg_at_10"] for one in runs)
        epochs = ", ".join(str(one["epoch"]) for one in runs)
        rows.append(f"| {change} | {ndcg:.4f} | {ndcg - found['nothing changed']:+.4f} | {epochs} |")
    print("", "| changed | validation NDCG@10 | difference | epochs |", "|---|---|---|---|", *rows, sep="\n")
    print(json.dumps({"data": "beauty", "seeds": options.seeds, "validation_ndcg_at_10": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
