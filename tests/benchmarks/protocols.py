"""How much a protocol flatters: the same baselines on one set of reviews, parted in each way that `splits` knows.

All items that somebody has before the cut are ranked for every user but those that the user has; a target that nobody
has is never found. Warm users have a history, cold ones have none. Intervals are of means over users, of which one who
is judged in several windows counts once, by the mean. The cuts lie where shares of the interactions have come.

`make bench-protocols DATA=beauty` reads one set, without DATA all of them; seconds each. "leaks" says what the
histories tell of a time later than a target's.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.baselines import EPOCH, Known, baselines
from recpipe.evaluation.bootstrap import Interval
from recpipe.evaluation.metrics import Lists, filled, hits_among, ndcg_at_k, ranked_lists, recall_at_k
from recpipe.evaluation.splits import Split, cut_in_time, leave_one_out, random_split, rolling_cuts
from recpipe.model.examples import positions
from tests.benchmarks.public_data import REAL, SECONDS_A_DAY

DATA = {
    "beauty": "amazon2018_raw/All_Beauty_5.json.gz",
    "magazines": "amazon2018_raw/Magazine_Subscriptions_5.json.gz",
    "gift-cards": "amazon2018_raw/Gift_Cards_5.json.gz",
    "music": "amazon2014_raw/reviews_Digital_Music_5.truncated.json.gz",
}
K, SEED = 10, 0
SHARES = (0.6, 0.7, 0.8, 0.9)
"""Of the interactions, at which the rolling cuts lie."""
ONE_CUT = 0.8
SHOWN = ("popular_all_time", "item_knn", "als")
METRICS = {"recall_at_10": recall_at_k, "ndcg_at_10": ndcg_at_k}
HEAD = ("protocol", "leaks", "users", "count", "baseline", "Recall@10", "NDCG@10")
Rows = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]
Judged = Mapping[str, Mapping[str, NDArray[np.floating]]]
"""By baseline and metric one value a user of a split."""


@dataclass(frozen=True)
class Figure:
    protocol: str
    leak: str
    who: str
    users: int
    baseline: str
    recall_at_10: Interval
    ndcg_at_10: Interval

    def line(self) -> str:
        intervals = (f"{of.mean:.4f} [{of.lower:.4f}, {of.upper:.4f}]" for of in (self.recall_at_10, self.ndcg_at_10))
        leaks = f"leaks: {self.leak}" if self.leak else ""
        return " | ".join((self.protocol, leaks, self.who, f"{self.users:,}", self.baseline, *intervals))

    def told(self) -> dict[str, object]:
        intervals = {metric: [round(end, 4) for end in astuple(getattr(self, metric))] for metric in METRICS}
        return asdict(self) | {"leaks": bool(self.leak)} | intervals


def read(name: str) -> Rows:
    """Users, items and days of a file of Amazon's reviews, as `splits` takes them."""
    found = [(review["reviewerID"], review["asin"], review["unixReviewTime"]) for review in _reviews(name)]
    users, items, seconds = (np.array(column) for column in zip(*found, strict=True))
    numbers = (np.unique(column, return_inverse=True)[1] for column in (users, items))
    return *numbers, seconds // SECONDS_A_DAY


def _reviews(name: str) -> Iterator[dict]:
    with gzip.open(REAL / DATA[name], "rt") as lines, suppress(EOFError):  # one of the files is cut off
        yield from map(json.loads, lines)


def protocols(rows: Rows) -> dict[str, list[Split]]:
    days = rows[2]
    *cuts, one_cut = np.quantile(days, (*SHARES, ONE_CUT), method="lower").tolist()
    last = int(days.max())
    return {
        "cut in time": [cut_in_time(*rows, one_cut, last)],
        f"{len(cuts)} rolling cuts": rolling_cuts(*rows, (*cuts, last)),
        "leave one out": [leave_one_out(*rows)],
        "random split": [random_split(*rows, 1 - ONE_CUT, SEED)],
    }


def judged(split: Split) -> Judged:
    """Every baseline learns from all histories of the split."""
    items = np.unique(split.histories.values)
    seen, targets = (replace(of, values=positions(of.values, items, -1)) for of in (split.histories, split.targets))
    table = _table(seen)
    known = Known(table, np.zeros_like(table), np.ones_like(table, bool), EPOCH, np.zeros((len(items), 1), np.int64))
    scores = baselines(known, seen, SEED)
    counts, found = targets.lengths(), {}
    for name in SHOWN:
        lists = filled(ranked_lists(scores[name], seen, K), known.popular, seen)
        hits = hits_among(lists, targets)
        found[name] = {metric: of(hits, counts) for metric, of in METRICS.items()}
    return found


def _table(lists: Lists) -> NDArray[np.integer]:
    """(users, most of one), padded with -1."""
    lengths = lists.lengths()
    table = np.full((len(lists), lengths.max()), -1)
    table[np.arange(lengths.max()) < lengths[:, None]] = lists.values
    return table


def figures(protocol: str, splits: Sequence[Split]) -> list[Figure]:
    """Of warm, cold and all users, as far as there are any."""
    figures, of_splits = [], [judged(split) for split in splits]
    for who in ("warm", "cold", "all"):
        among = [split.warm | split.cold if who == "all" else getattr(split, who) for split in splits]
        judged_users = np.concatenate([split.users[of] for split, of in zip(splits, among, strict=True)])
        users, owners = np.unique(judged_users, return_inverse=True)
        for baseline in SHOWN if len(users) else ():
            intervals = {}
            for metric in METRICS:
                of_all = [one[baseline][metric][of] for one, of in zip(of_splits, among, strict=True)]
                means = np.bincount(owners, np.concatenate(of_all)) / np.bincount(owners)
                intervals[metric] = Interval.of(means, SEED)
            figures.append(Figure(protocol, splits[0].leak, who, len(users), baseline, **intervals))
    return figures


def flattery(found: Sequence[Figure]) -> dict[str, float | None]:
    """By baseline, NDCG@10 of the random split over that of the cut in time, both of warm users."""
    of = {(one.protocol, one.baseline): one.ndcg_at_10.mean for one in found if one.who == "warm"}
    both = {name: (of.get(("random split", name), 0.0), of.get(("cut in time", name), 0.0)) for name in SHOWN}
    return {name: round(random / cut, 2) if cut else None for name, (random, cut) in both.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA), metavar="SET", help=", ".join(DATA))
    options = parser.parse_args()
    if not REAL.exists():
        print(f"skipped: the data is not here, {REAL}")
        return 0
    told = {}
    for name in options.data:
        rows = read(name)
        ways = protocols(rows)
        users, items = (len(np.unique(column)) for column in rows[:2])
        pairs = len(np.unique(np.stack(rows[:2]), axis=1).T)
        print(f"{name}: {users:,} users, {items:,} items, {pairs:,} interactions", " | ".join(HEAD), sep="\n")
        found = [figure for protocol, splits in ways.items() for figure in figures(protocol, splits)]
        print(*(figure.line() for figure in found), "", sep="\n", flush=True)
        cuts = {protocol: [split.cut for split in splits] for protocol, splits in ways.items()}
        told[name] = {
            "random_over_cut_of_warm_users": flattery(found),
            "cuts": cuts,
            "figures": [one.told() for one in found],
        }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
