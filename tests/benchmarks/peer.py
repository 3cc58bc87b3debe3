"""How long the two-tower takes to rank as well as RecTools' SASRec at its best, beside how long that took.

Both learn Beauty (Amazon 2014) from all items of a user but the last two, on one thread, with products in bfloat16 and
with the same settings of the allocator. One figure judges both after every epoch: NDCG@10 of the item before the last,
all known items ranked but those that the user has, by the project's own metric; of the peer it takes the vectors that
its scores are made of. The peer stops after some epochs without a better one, and its best is what is to be reached.

Seconds count from the data in memory, without those of validation. CPU seconds are the result, since they hardly depend
on what else the machine does; wall seconds stand beside them. Both rows of the two-tower walk the schedule of
`quality`, whose epochs were not chosen for this race: "ids" knows what the peer knows, "full" the categories too.

`make bench-peer` takes hours, nearly all of them the peer's; `BENCH="--epochs 5"` bounds that, but then says of no aim
that it was met, since a later epoch of the peer may be better. Finished epochs of the
peer and finished runs of the two-tower are kept in the work folder, so that a run that was stopped goes on. The setting
of the peer is told in `peer/sasrec.py`, which runs in an environment of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.metrics import ndcg_at_k
from recpipe.model.contest import Contest, validator
from recpipe.model.towers import TwoTower
from recpipe.model.training import train
from recpipe.settings import CHECKOUT, ModelSettings
from tests.benchmarks import public_data
from tests.benchmarks.kept import kept, name_of, name_of_run, write
from tests.benchmarks.public_data import Shop, Split
from tests.benchmarks.quality import IDS_ONLY, RECIPE

AT_LEAST = 3.0
"""Times as fast as the peer, in CPU seconds."""
LENGTH, SEED = 50, 0
VARIANTS = {"ids": IDS_ONLY, "full": RECIPE}
ALIKE = {
    "OMP_NUM_THREADS": "1",
    # Freed memory is kept: the peer's batches of 300 MB are not paged in anew, which takes a third of its time.
    **{"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(10**11), "MALLOC_TOP_PAD_": str(10**9)},
}
PEER = Path(__file__).with_suffix("")
Log = list[dict[str, float]]
"""By epoch: its number from 1, seconds up to its end, and its validation NDCG@10."""


@dataclass
class Clock:
    """Seconds of this process while the clock goes."""

    cpu: float = 0.0
    wall: float = 0.0
    began: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.monotonic()))

    def stop(self) -> None:
        self.cpu += time.process_time() - self.began[0]
        self.wall += time.monotonic() - self.began[1]

    def go(self) -> None:
        self.began = time.process_time(), time.monotonic()


def two_tower(settings: ModelSettings) -> Log:
    split = _split(public_data.amazon("Beauty"))
    judge = validator(split.chooses, split.catalogue, settings.item_inputs)
    log: Log = []
    clock = Clock()

    def validate(known: NDArray[np.int32]):
        clock.stop()
        ndcg = judge(known)
        clock.go()

        def judged(model: TwoTower) -> float:
            clock.stop()
            seconds = {"cpu_seconds": clock.cpu, "wall_seconds": clock.wall}
            log.append({"epoch": len(log) + 1, **seconds, "ndcg_at_10": ndcg(model)})
            clock.go()
            return log[-1]["ndcg_at_10"]

        return judged

    train(split.trial, split.catalogue, settings, SEED, validate=validate)
    return log


def kept_two_tower(work: Path, variant: str) -> Log:
    """The run as it was kept, or a new one in a process of its own. A run of other code or settings is another run."""
    settings = VARIANTS[variant]

    def alone() -> Log:
        print(f"two-tower, {variant}", flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
            return one.submit(two_tower, settings).result()

    return kept(work / f"{variant}-{name_of_run(settings)}.json", alone)


def peer(work: Path, python: Path, epochs: int, patience: int) -> Log:
    """Train the peer on from where it was, until no epoch was better for ``patience`` ones.

    Raises:
        subprocess.CalledProcessError: its script failed.
    """
    script = PEER / "sasrec.py"
    folder = work / f"sasrec-{name_of(script.read_text(), (PEER / 'requirements.txt').read_text())}"
    folder.mkdir(parents=True, exist_ok=True)
    shop = public_data.amazon("Beauty")
    if not (folder / "interactions.npz").exists():
        np.savez(folder / "interactions.npz", **_interactions(shop))
    split = _split(shop)
    log = _judged(folder, split)
    if _is_over(log, epochs, patience):
        return log
    command = [str(python), str(script), str(folder), str(epochs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in process.stdout:
            log = _judged(folder, split)
            if _is_over(log, epochs, patience):
                break  # the end of its input ends it
            process.stdin.write("\n")
            process.stdin.flush()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return log


def _is_over(log: Log, epochs: int, patience: int) -> bool:
    return len(log) >= epochs or (bool(log) and len(log) - best(log)["epoch"] >= patience)


def _judged(folder: Path, split: Split) -> Log:
    """The peer's epochs so far. An epoch's vectors are needed no more when it is judged."""
    timed, file = folder / "epochs.json", folder / "judged.json"
    log: Log = json.loads(file.read_text()) if file.exists() else []
    for epoch in (json.loads(timed.read_text()) if timed.exists() else [])[len(log) :]:
        vectors = folder / f"epoch-{epoch['epoch']:03}.npz"
        log.append(epoch | {"ndcg_at_10": _ndcg(vectors, split)})
        write(file, log)
        vectors.unlink()
        print(f"peer, {_told(log[-1])}", flush=True)
    return log


def _ndcg(vectors: Path, split: Split) -> float:
    with np.load(vectors) as read:
        of_users, of_items = np.argsort(read["users"]), np.argsort(read["items"])
        contest = Contest.of(split.chooses, split.catalogue, read["items"][of_items].astype(np.int32), ("id",))
        if len(of_users) != len(contest.targets):
            raise ValueError(f"expected vectors of {len(contest.targets)} users, found {len(of_users)}")
        hits = contest.hits(read["user_vectors"][of_users], read["item_vectors"][of_items])
    return float(np.nanmean(ndcg_at_k(hits, contest.targets.lengths())))


def _interactions(shop: Shop) -> dict[str, NDArray[np.int64]]:
    """What the peer learns from; its times tell the order alone."""
    lists = [its[:-2] for its in shop.items]
    return {
        "users": np.repeat(np.arange(len(lists)), [len(its) for its in lists]),
        "items": np.concatenate([np.array(its) for its in lists]),
        "times": np.concatenate([np.arange(len(its)) for its in lists]),
    }


def _split(shop: Shop) -> Split:
    return public_data.leave_one_out(shop, LENGTH, SEED)


def best(log: Log) -> dict[str, float]:
    return max(log, key=lambda epoch: epoch["ndcg_at_10"])


def reached(log: Log, ndcg: float) -> dict[str, float] | None:
    """The first epoch that is as good, if there is one."""
    return next((epoch for epoch in log if epoch["ndcg_at_10"] >= ndcg), None)


def figures(log: Log, target: dict[str, float]) -> dict[str, float | None]:
    """Of a run of the two-tower, beside the epoch of the peer that is to be reached."""
    found: dict[str, float | None] = {"best_ndcg_at_10": round(best(log)["ndcg_at_10"], 4)}
    if epoch := reached(log, target["ndcg_at_10"]):
        ratios = {f"{name}_ratio": round(target[f"{name}_seconds"] / epoch[f"{name}_seconds"], 1) for name in CLOCKS}
        return found | _minutes(epoch) | ratios
    return found | dict.fromkeys([*_minutes(target), *(f"{name}_ratio" for name in CLOCKS)])


CLOCKS = ("cpu", "wall")


def _minutes(epoch: dict[str, float]) -> dict[str, float]:
    return {"epoch": epoch["epoch"]} | {f"{name}_minutes": round(epoch[f"{name}_seconds"] / 60, 2) for name in CLOCKS}


def _told(epoch: dict[str, float]) -> str:
    minutes = _minutes(epoch)
    return (
        f"epoch {epoch['epoch']}: {minutes['cpu_minutes']} minutes of CPU, {minutes['wall_minutes']} of wall, "
        f"validation NDCG@10 {epoch['ndcg_at_10']:.4f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS), help="of the two-tower")
    parser.add_argument("--epochs", type=int, default=100, help="most of the peer's")
    parser.add_argument("--patience", type=int, default=5, help="the peer's epochs without a better one")
    parser.add_argument("--work", type=Path, default=CHECKOUT / ".bench" / "peer", help="folder that keeps runs")
    options = parser.parse_args()
    if not public_data.REAL.exists():
        print(f"skipped: the data is not here, {public_data.REAL}")
        return 0
    os.environ.update(ALIKE)  # read when a process starts, so by those that are timed
    options.work.mkdir(parents=True, exist_ok=True)
    runs = {variant: kept_two_tower(options.work, variant) for variant in options.variants}
    for variant, log in runs.items():
        print(*(f"{variant}, {_told(epoch)}" for epoch in log), sep="\n")
    python = CHECKOUT / ".bench" / "peer" / "venv" / "bin" / "python"
    of_peer = peer(options.work, python, options.epochs, options.patience)
    target = best(of_peer)
    stopped = len(of_peer) - target["epoch"] >= options.patience
    found = {variant: figures(log, target) for variant, log in runs.items()}
    found["peer"] = {"ndcg_at_10": round(target["ndcg_at_10"], 4), **_minutes(target)}
    found["peer"] |= {"epochs": len(of_peer), "stopped_early": stopped}
    met = stopped and (found.get("ids", {}).get("cpu_ratio") or 0) >= AT_LEAST
    print(json.dumps(found | {"at_least": AT_LEAST, "met": met}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
