"""How a candidate does beside the baselines and the champion, on the users of an anchor's evaluation examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.baselines import RECENT_DAYS, Known, baselines
from recpipe.evaluation.gate import CHAMPION, Check, compared, enough_users, finite, lists_hold
from recpipe.evaluation.metrics import METRICS, Lists, hits_among, products, ranked_lists
from recpipe.model.anchors import Plan
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue, read_catalogue
from recpipe.model.examples import EvaluationUsers, Sequences, positions, read_evaluation_users
from recpipe.model.judging import Contest, K
from recpipe.settings import Settings

MODEL = "two_tower"
NDCG = "ndcg_at_10"
LENGTHS = (1, 2, 5, 10)
"""Items of a history at which its segment begins."""

PerUser = Mapping[str, NDArray[np.floating]]
"""By metric, (users,) values."""


@dataclass(frozen=True)
class Judgement:
    """Figures of every model, what was demanded of the candidate, and on how many users it all stands."""

    figures: Mapping[str, Mapping[str, float]]  # by model and metric, means over the users that have targets
    checks: tuple[Check, ...]
    users: int
    strangers: int
    unknown_target_share: float
    champion_version: str | None = None

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def judge(settings: Settings, plan: Plan, candidate: Checkpoint, champion: Checkpoint | None = None) -> Judgement:
    """Measure the candidate, the baselines and the champion on one set of users.

    Ranked are all items that the candidate has a vector for, but those that the user has; for the champion, those that
    it has one for, as it would serve them. A target that is none of them, such as an item that nobody knew at the cut,
    counts as missed, for every model. Users without a history at the cut are no part of it: no model can rank for
    them, and each would be given the same popular items.

    Nothing was chosen on these users, and they are looked at once.
    """
    users = read_evaluation_users(settings.lake, plan.judges)
    contest, its_vectors = _contest(settings, plan, candidate, users)
    checks = [enough_users(len(users), settings.gate), finite(its_vectors)]
    known = _known(settings, plan, candidate, contest.ranked)
    scores = dict(baselines(known, contest.seen, settings.seed))
    if all_finite := checks[-1].passed:
        scores[MODEL] = products(*its_vectors)
    lists = {name: ranked_lists(of_model, contest.seen, K) for name, of_model in scores.items()}
    values = {name: _values(its, contest.targets) for name, its in lists.items()}
    if champion is not None:
        theirs, vectors = _contest(settings, plan, champion, users)
        values[CHAMPION] = _values(ranked_lists(products(*vectors), theirs.seen, K), theirs.targets)
    if all_finite:
        ndcg = {name: of_model[NDCG] for name, of_model in values.items()}
        segments = segments_of(users.histories, contest)
        checks += compared(ndcg.pop(MODEL), ndcg, segments, settings.gate, settings.seed)
        checks.append(lists_hold(lists[MODEL], known.owners(), settings.gate))
    return Judgement(
        figures={name: _means(of_model) for name, of_model in values.items()},
        checks=tuple(checks),
        users=len(users),
        strangers=users.strangers,
        unknown_target_share=float(np.mean(contest.targets.values < 0)),
        champion_version=None if champion is None else champion.model_version,
    )


def _contest(
    settings: Settings, plan: Plan, model: Checkpoint, users: EvaluationUsers
) -> tuple[Contest, tuple[NDArray[np.floating], NDArray[np.floating]]]:
    item = model.model.config.item
    catalogue = read_catalogue(settings, plan.candidate.ds, item.inputs, item.image_size)
    contest = Contest.of(users, catalogue, model.known, item.inputs)
    return contest, contest.vectors(model.model, model.known)


def _known(settings: Settings, plan: Plan, candidate: Checkpoint, ranked: Catalogue) -> Known:
    sequences = TrainingFiles.of(settings.lake, plan.candidate).read()
    places = positions(sequences.items, ranked.numbers, missing=-1)
    return Known(places, sequences.days, candidate.until, ranked.content.categories)


def _values(lists: NDArray[np.integer], targets: Lists) -> PerUser:
    hits, wanted = hits_among(lists, targets), targets.lengths()
    return {name: metric(hits, wanted) for name, metric in METRICS.items()}


def _means(values: PerUser) -> dict[str, float]:
    return {name: float(np.nanmean(each)) for name, each in values.items()}


def segments_of(histories: Sequences, contest: Contest) -> dict[str, NDArray[np.bool_]]:
    """Users by how much they had, and by how long ago they had the last of it; each a mask over the users."""
    count, last = contest.seen.lengths(), histories.days.max(axis=1)
    ago = last.max(initial=0) - last
    bounds = pairwise([*LENGTHS, np.inf])
    lengths = {f"history of {first} or more, below {end}": (count >= first) & (count < end) for first, end in bounds}
    return lengths | {
        f"active in the last {RECENT_DAYS} days": ago < RECENT_DAYS,
        f"inactive for {RECENT_DAYS} days": ago >= RECENT_DAYS,
    }
