"""Whether recpipe's metrics are those of its peers: RecTools, LensKit and Microsoft Recommenders.

All get the same lists: drawn ones with every corner (see `ranking_cases`), and the most popular items of Beauty. Values
of single users and means must be equal to TOLERANCE, but where `peer_definitions` says for whom a peer means another
thing, and why. Such a reason is tested too: where a peer is to differ it must, for one user at least.

A peer is asked for recpipe's definition by its own options, where it has any: RecTools' NDCG by divide_by_achievable,
LensKit's by LogRankWeight(offset=1), Recommenders' by log2. What they give without is a row of its own, in which
Recommenders agrees too, since the base of its logarithms cancels out. Recommenders tells means alone; the values of
single users are its means over one.

`make check-metrics` takes two minutes once each peer has its environment, and exits 0 only if all are there and agree.
The peers' scripts and pins lie in `agreement/`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recpipe.settings import CHECKOUT
from tests.benchmarks import public_data
from tests.benchmarks.peer_definitions import EXPECTED
from tests.benchmarks.ranking_cases import Cases, corners, drawn_cases, popular_beauty

TOLERANCE = 1e-9
SCRIPTS = Path(__file__).with_suffix("")
PEERS = {"rectools": "RecTools", "lenskit": "LensKit", "recommenders": "Recommenders"}
HEAD = ("metric", "recpipe", *PEERS.values(), "agrees, or why not")
OURS_ALONE = "no peer has it; tests/evaluation/test_lists.py compares it with a slow reference"


@dataclass(frozen=True)
class Compared:
    """A peer's mean of a metric, for how many users it gives another value, and what is wrong, if anything is."""

    mean: float
    differ: int
    users: int
    fault: str


def compare(ours: NDArray[np.floating], theirs: Mapping[str, object], where: NDArray[np.bool_] | bool) -> Compared:
    """Values of users, where the peer tells them, and means if all whom it counts are to be alike.

    Args:
        ours: one value a user, or one in all.
        where: whose values are to be equal; of others one must differ.
    """
    where, mean = np.broadcast_to(where, ours.shape), theirs["mean"]
    told = np.array(theirs.get("users", ()), dtype=float)
    counted = ~np.isnan(told) if len(told) else np.ones(len(ours), bool)
    of_all = float(np.nanmean(ours[counted]))
    same_mean = abs(of_all - mean) <= TOLERANCE
    if len(told):
        same = np.isclose(ours, told, rtol=0, atol=TOLERANCE, equal_nan=True)
    else:
        same = np.full(len(ours), same_mean)
    fault = ""
    if len(told) and not same[where].all():
        user = np.flatnonzero(where & ~same)[0]
        fault = f"user {user}: expected {ours[user]:.12g}, found {told[user]:.12g}"
    elif not same_mean and where[counted].all():
        fault = f"mean: expected {of_all:.12g}, found {mean:.12g}"
    elif same.all() and not where.all():
        fault = "expected a difference, found none"
    return Compared(mean, int((~same).sum()), len(ours), fault)


def compare_all(cases: Cases, told: Mapping[str, Mapping]) -> dict[str, dict[str, Compared]]:
    """By metric and peer, of the figures that peers have ``told`` of the cases."""
    ours = cases.figures()
    return {
        metric: {
            peer: compare(ours[metric], told[peer][metric], expected.where(cases))
            for peer, expected in peers.items()
            if peer in told
        }
        for metric, peers in EXPECTED.items()
    }


def table(cases: Cases, found: Mapping[str, Mapping[str, Compared]], silent: Sequence[str]) -> list[str]:
    lines, ours = [" | ".join(HEAD)], cases.figures()
    for metric, peers in found.items():
        cells = [f"{peers[peer].mean:.6f}" if peer in peers else "?" if peer in silent else "none" for peer in PEERS]
        differ = [f"{PEERS[peer]} {why}" for peer, one in peers.items() if (why := _difference(metric, peer, one))]
        last = "; ".join(differ) or ("equal" if peers else "not compared")
        lines.append(" | ".join((metric, f"{np.nanmean(ours[metric]):.6f}", *cells, last)))
    return [*lines, " | ".join(("calibration", "", *("none" for _ in PEERS), OURS_ALONE))]


def _difference(metric: str, peer: str, compared: Compared) -> str:
    if compared.fault:
        return f"DISAGREES, {compared.fault}"
    of = f" for {compared.differ:,} of {compared.users:,} users" if compared.users > 1 else ""
    return f"differs{of}: {EXPECTED[metric][peer].why}" if compared.differ else ""


def peers_told(work: Path, data: Mapping[str, Cases]) -> dict[str, dict | str]:
    """By peer its figures, or why there are none."""
    folder = work / "cases"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, cases in data.items():
        cases.save(folder / f"{name}.npz")
    told: dict[str, dict | str] = {}
    for peer in PEERS:
        if not (work / peer / ".ready").exists():
            told[peer] = f"not installed, see {work / peer}.log"
            continue
        script = [str(work / peer / "bin" / "python"), str(SCRIPTS / f"of_{peer}.py"), str(folder)]
        ran = subprocess.run(script, stderr=subprocess.PIPE, text=True, check=False)
        read = (folder / f"{peer}.json").read_text if not ran.returncode else None
        told[peer] = json.loads(read()) if read else f"failed: {ran.stderr.strip().splitlines()[-1]}"
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=CHECKOUT / ".bench" / "agreement", help="has the environments")
    options = parser.parse_args()
    data = {"drawn": drawn_cases(seed=0)}
    if public_data.REAL.exists():
        data["beauty"] = popular_beauty()
    else:
        print(f"skipped: Beauty, whose data is not here, {public_data.REAL}")
    told = peers_told(options.work, data)
    silent = {peer: why for peer, why in told.items() if isinstance(why, str)}
    for peer, why in silent.items():
        print(f"{PEERS[peer]} is not compared: {why}")
    result, faults = {}, 0
    for name, cases in data.items():
        found = compare_all(cases, {peer: one["data"][name] for peer, one in told.items() if peer not in silent})
        faults += sum(bool(one.fault) for peers in found.values() for one in peers.values())
        counts = ", ".join(f"{corner} {of.sum():,}" for corner, of in corners(cases).items())
        lines = (f"{name}, {len(cases.lists):,} users: {counts}", *table(cases, found, list(silent)), "")
        print(*lines, sep="\n", flush=True)
        result[name] = {metric: {peer: asdict(one) for peer, one in peers.items()} for metric, peers in found.items()}
    versions = {peer: one["version"] for peer, one in told.items() if peer not in silent}
    agree = not faults and not silent
    print(json.dumps({"versions": versions, "not_compared": silent, "data": result, "faults": faults, "agree": agree}))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
