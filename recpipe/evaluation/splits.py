"""Protocols: which interactions a model may know, and which it must find.

Interactions are three arrays of one length, (rows,): users, items and days since 1970-01-01. Within a day the order of
the rows is the order of time. Of a pair of user and item that comes again the first time alone counts, so that no
target is in its user's history.

Figures depend on the protocol, even the order of models does (Meng et al., 2020, "Exploring data splitting strategies
for the evaluation of recommendation models"). In the pipeline it is a cut in time; the others are for figures beside
published ones. All candidates are to be ranked, as `metrics.ranked_lists` does: figures on a sample of them may order
models otherwise (Krichene and Rendle, 2020, "On sampled metrics for item recommendation").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.metrics import Lists


@dataclass(frozen=True)
class Split:
    """What is known of each user, and what is to be found for them."""

    users: NDArray[np.integer]  # (users,), ascending: all who have a history or a target
    histories: Lists  # of items by user, oldest first but for a random split
    targets: Lists  # of different items by user, none of them in the history; none for a user who is not judged
    cut: str  # where the histories end and the targets begin
    leak: str = ""  # what the histories tell of a later time than that of targets, if they do

    @property
    def leaks(self) -> bool:
        """Whether figures of it are better than they would be on the day; a table that shows them says so."""
        return bool(self.leak)

    @property
    def warm(self) -> NDArray[np.bool_]:
        """(users,): those with targets and a history."""
        return (self.targets.lengths() > 0) & (self.histories.lengths() > 0)

    @property
    def cold(self) -> NDArray[np.bool_]:
        """(users,): those with targets and no history."""
        return (self.targets.lengths() > 0) & (self.histories.lengths() == 0)


def cut_in_time(
    users: NDArray[np.integer], items: NDArray[np.integer], days: NDArray[np.integer], cut: int, last: int
) -> Split:
    """One cut for all users: histories up to and including the day ``cut``, and targets after it up to ``last``.

    Raises:
        ValueError: ``last`` is not after ``cut``.
    """
    if last <= cut:
        raise ValueError(f"expected a last day after the cut, found {_date(last)} and {_date(cut)}")
    until = days <= last
    them, owners, its, when = _first_times(users[until], items[until], days[until])
    history, target = (_lists(owners, its, among, len(them)) for among in (when <= cut, when > cut))
    return Split(them, history, target, f"known up to {_date(cut)}, wanted up to {_date(last)}")


def rolling_cuts(
    users: NDArray[np.integer], items: NDArray[np.integer], days: NDArray[np.integer], cuts: Sequence[int]
) -> list[Split]:
    """A cut in time at each of the ascending days ``cuts`` but the last one, with targets up to the next."""
    return [cut_in_time(users, items, days, cut, last) for cut, last in pairwise(cuts)]


def leave_one_out(
    users: NDArray[np.integer], items: NDArray[np.integer], days: NDArray[np.integer], last: int = 1
) -> Split:
    """The target is a user's last item, or with ``last`` = 2 the one before, for validation; what comes later is in
    no list, and a user of fewer items has none to find.

    The model sees what others did after a target, which it could not on the day (Ji et al., 2023, "A critical study on
    data leakage in recommender system offline evaluation").
    """
    them, owners, its, _ = _first_times(users, items, days)
    lengths = np.bincount(owners, minlength=len(them))
    from_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(its))  # 1 for a user's last
    history, target = (_lists(owners, its, among, len(them)) for among in (from_end > last, from_end == last))
    cut = "before the last item" if last == 1 else f"before the last item but {last - 1}"
    return Split(them, history, target, cut, leak="what others did later")


def random_split(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    days: NDArray[np.integer],
    share: float,
    seed: int | np.random.Generator,
) -> Split:
    """The targets are a ``share`` of each user's items, drawn at random; histories are in the order of the draw.

    It leaks: the model sees what the user and the others did after a target (Ji et al., 2023; Meng et al., 2020).
    """
    them, owners, its, _ = _first_times(users, items, days)
    lengths = np.bincount(owners, minlength=len(them))
    starts = np.cumsum(lengths) - lengths
    draws = np.random.default_rng(seed)
    drawn = np.concatenate([draws.permutation(one) for one in np.split(its, starts[1:])])
    places = np.arange(len(its)) - np.repeat(starts, lengths)
    wanted = places < np.repeat(np.rint(lengths * share), lengths)
    history, target = (_lists(owners, drawn, among, len(them)) for among in (~wanted, wanted))
    return Split(them, history, target, f"{share:.0%} at random", leak="what they and others did later")


def _first_times(
    users: NDArray[np.integer], items: NDArray[np.integer], days: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]:
    """The users, ascending, and of each pair's first time the user's place among them, the item and the day; by user
    and then time."""
    order = np.lexsort((days, users))  # keeps the order within a day
    them, owners = np.unique(users[order], return_inverse=True)
    numbers, its = np.unique(items[order], return_inverse=True)
    kept = np.sort(np.unique(owners * len(numbers) + its, return_index=True)[1])
    return them, owners[kept], numbers[its[kept]], days[order][kept]


def _lists(owners: NDArray[np.integer], items: NDArray[np.integer], among: NDArray[np.bool_], count: int) -> Lists:
    return Lists(items[among], np.concatenate([[0], np.cumsum(np.bincount(owners[among], minlength=count))]))


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))
