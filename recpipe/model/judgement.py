"""How a candidate does beside the baselines and the champion, on the users of an anchor's evaluation examples."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from recpipe import delta
from recpipe.evaluation import lists as list_figures
from recpipe.evaluation.baselines import Known, baselines
from recpipe.evaluation.bootstrap import Interval
from recpipe.evaluation.gate import CHAMPION, Check, compared, enough_users, finite, lists_hold
from recpipe.evaluation.metrics import METRICS, Lists, filled, ranked_lists, targets_found
from recpipe.evaluation.segments import Segments, by_category, by_history, by_popularity
from recpipe.model.anchors import Plan
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue, read_catalogue
from recpipe.model.contest import Contest, K
from recpipe.model.examples import EvaluationUsers, positions, read_evaluation_users
from recpipe.settings import Settings
from recpipe.tables import COLD, EVERYBODY, TYPE_CODES, VOCABULARY, WARM

MODEL = "two_tower"
NDCG, RECALL = "ndcg_at_10", "recall_at_10"

NOT_IN_NAMES, LONGEST_NAME = re.compile(r"[^\w-]+"), 100
"""Of a segment in the name of a metric: MLflow takes few signs, 250 of them, and no name that is another path."""

PerUser = Mapping[str, NDArray[np.floating]]
"""By metric, (users,) values; NaN for a user without targets."""
Vectors = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Of users and of items."""


@dataclass(frozen=True)
class Figure:
    """A mean over the users for whom the metric is defined in the segment, and the ends of its interval if known."""

    model: str
    segment: str
    metric: str
    value: float
    users: int
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Judgement:
    """Figures of every model, and what was demanded of the candidate."""

    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]
    champion_version: str | None = None

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def of(self, model: str, segment: str = WARM) -> dict[str, float]:
        return {one.metric: one.value for one in self.figures if (one.model, one.segment) == (model, segment)}

    def named(self) -> dict[str, float]:
        """Every figure by model, segment and metric, in names that MLflow takes."""
        return {f"{one.model}/{_name(one.segment)}/{one.metric}": one.value for one in self.figures}


def _name(segment: str) -> str:
    """With a hash where it is not the whole name, which others may begin with or come to as well."""
    name = NOT_IN_NAMES.sub(" ", segment)[:LONGEST_NAME]
    return name if name == segment else f"{name} {hashlib.sha256(segment.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Outcome:
    """What a model's lists found."""

    found: NDArray[np.integer]  # (users, K), see `targets_found`
    targets: Lists

    @classmethod
    def of(cls, lists: NDArray[np.integer], targets: Lists) -> Self:
        return cls(targets_found(lists, targets), targets)

    def values(self, segment: NDArray[np.bool_] | None = None, metrics: tuple[str, ...] = tuple(METRICS)) -> PerUser:
        """Of all targets, or of a segment's."""
        hits, wanted = self.found >= 0, self.targets.lengths()
        if segment is not None:
            hits = hits & segment[self.found]
            rows = np.repeat(np.arange(len(wanted)), wanted)
            wanted = np.bincount(rows[segment], minlength=len(wanted))
        return {name: METRICS[name](hits, wanted) for name in metrics}

    def by_segment(self, segments: Segments) -> dict[str, PerUser]:
        """Every metric of all targets, and the two most asked for of each segment's."""
        return {WARM: self.values()} | {name: self.values(mask, (RECALL, NDCG)) for name, mask in segments.items()}


def judge(settings: Settings, plan: Plan, candidate: Checkpoint, champion: Checkpoint | None = None) -> Judgement:
    """Measure the candidate, the baselines and the champion on one set of users.

    Each is judged by the lists that it would serve: of the items that it says something about, but those that the user
    has, and where they do not fill a list, of popular ones out of all items. A target that is none of them, such as an
    item that nobody knew at the cut, counts as missed, for every model.
    Users without a history at the cut are no part of it: no model can rank for them, and each would be given the same
    popular items. What that gives them is told apart, and with the others.

    Nothing was chosen on these users, and they are looked at once.
    """
    torch.set_num_threads(settings.model.threads)  # as in training: another number may round sums differently
    users = read_evaluation_users(settings.lake, plan.judges)
    models = {MODEL: candidate} | ({} if champion is None else {CHAMPION: champion})
    for one in models.values():
        one.model.cpu()  # where nights make their vectors, and where all are that the registry gives
    contests = {name: _contest(settings, plan, model, users) for name, model in models.items()}
    ranked, its_vectors = contests[MODEL]
    checks = [enough_users(len(users), settings.gate), finite(its_vectors)]
    if not (all_finite := checks[-1].passed):
        del contests[MODEL]
    contest = _of_all_items(settings, plan, users, models.values())
    known = _known(settings, plan, candidate, contest.ranked)
    scores = baselines(known, _met(contest), settings.seed)
    own = {name: ranked_lists(of_model, contest.seen, K) for name, of_model in scores.items()}
    own |= {name: _in_another(of.lists(*vectors), of, contest) for name, (of, vectors) in contests.items()}
    lists = {name: filled(its, known.popular, contest.seen) for name, its in own.items()}
    default = filled(np.full((1, K), -1), known.popular, Lists.of([[]]))
    outcomes = {name: Outcome.of(its, contest.targets) for name, its in lists.items()}
    segments = segments_of(settings, plan, contest, known)
    values = {name: of.by_segment(segments) for name, of in outcomes.items()}
    if all_finite:
        ndcg = {name: {part: of[part][NDCG] for part in of} for name, of in values.items()}
        checks += compared(ndcg.pop(MODEL), ndcg, WARM, settings.gate, settings.seed)
        checks.append(lists_hold(own[MODEL], contest.seen, known.owners, settings.gate))  # popular ones would hide gaps
    strangers = Outcome.of(np.tile(default, (len(users.strangers), 1)), contest.strangers).values()
    figures = [*_shares(ranked, users)]
    item_vectors = _spread(its_vectors[1][:, :-1], ranked, contest) if all_finite else None
    for name, of in values.items():
        figures += _figures(name, of, strangers, settings.seed)
        figures += _list_figures(name, lists[name], contest, known, item_vectors)
    return Judgement(
        figures=tuple(one for one in figures if not np.isnan(one.value)),
        checks=tuple(checks),
        champion_version=None if champion is None else champion.model_version,
    )


def _contest(settings: Settings, plan: Plan, model: Checkpoint, users: EvaluationUsers) -> tuple[Contest, Vectors]:
    item = model.model.config.item
    catalogue = read_catalogue(settings, plan.candidate.ds, item.inputs, item.image_size)
    contest = Contest.of(users, catalogue, model.known, item.inputs)
    return contest, contest.vectors(model.model, model.known)


def _of_all_items(settings: Settings, plan: Plan, users: EvaluationUsers, models: Iterable[Checkpoint]) -> Contest:
    """Of all items that a night may serve, whether a model ranks them or not."""
    catalogue = read_catalogue(settings, plan.candidate.ds, inputs=(), image_size=0)
    everything = reduce(np.union1d, [model.known for model in models], catalogue.numbers)
    return Contest.of(users, catalogue, everything, inputs=())


def _in_another(lists: NDArray[np.integer], one: Contest, other: Contest) -> NDArray[np.integer]:
    """Places of items ranked in ``one`` as places of those in the ``other``, -1 for an item that is not there."""
    return positions(np.append(one.ranked.numbers, -1)[lists], other.ranked.numbers, missing=-1)


def _spread(vectors: NDArray[np.floating], one: Contest, other: Contest) -> NDArray[np.floating]:
    """Vectors of the items ranked in ``one`` as those of the items in the ``other``, 0 for an item that has none."""
    found = np.zeros((len(other.ranked.numbers), vectors.shape[1]), vectors.dtype)
    found[np.searchsorted(other.ranked.numbers, one.ranked.numbers)] = vectors
    return found


def _known(settings: Settings, plan: Plan, candidate: Checkpoint, ranked: Catalogue) -> Known:
    sequences = TrainingFiles.of(settings.lake, plan.candidate).read()
    places = positions(sequences.items, ranked.numbers, missing=-1)
    had = np.isin(sequences.types, [TYPE_CODES[name] for name in settings.target_events])
    return Known(places, sequences.days, had, candidate.until, ranked.content.categories)


def _met(contest: Contest) -> Lists:
    """What is known of each user: all that the model reads, views too, and what the user had before that."""
    places = positions(contest.histories.items, contest.ranked.numbers, missing=-1)
    rows, columns = np.nonzero(places >= 0)
    rows_had, had = contest.seen.cells(0, len(contest.seen))
    met = np.concatenate([places[rows, columns], had])
    return Lists.of_cells(np.concatenate([rows, rows_had]), met, len(contest.seen))


def segments_of(settings: Settings, plan: Plan, contest: Contest, known: Known) -> Segments:
    lengths, last_days = _met(contest).lengths(), contest.histories.days.max(axis=1)
    with delta.connect(settings.lake, [VOCABULARY]) as lake:
        query = "select token_id, token from vocabulary where field = 'category' and ds <= ?"
        names = dict(lake.execute(query, [plan.candidate.ds]).fetchall())
    return {
        **by_history(lengths, last_days, contest.targets),
        **by_popularity(known.owners, contest.targets),
        **by_category(contest.ranked.content.categories[:, 0], names, contest.targets),
    }


def _figures(model: str, values: Mapping[str, PerUser], strangers: PerUser, seed: int) -> Iterator[Figure]:
    """By segment, and of users without a history, who get the most popular items, and of all users."""
    both = {metric: np.concatenate([values[WARM][metric], strangers[metric]]) for metric in METRICS}
    for segment, of_segment in {**values, COLD: strangers, EVERYBODY: both}.items():
        for metric, of_users in of_segment.items():
            figure = _mean(model, segment, metric, of_users)
            if metric == NDCG and figure.users:
                interval = Interval.of(of_users, seed)
                figure = replace(figure, lower=interval.lower, upper=interval.upper)
            yield figure


def _list_figures(
    model: str, lists: NDArray[np.integer], contest: Contest, known: Known, vectors: NDArray[np.floating] | None
) -> Iterator[Figure]:
    """``vectors``: of the items, without their bias, which makes no two of them alike."""
    owners, categories = known.owners, contest.ranked.content.categories
    yield Figure(model, WARM, "coverage", list_figures.coverage(lists, len(owners)), len(lists))
    values = {
        "list_fill": list_figures.fill(lists),
        "novelty": list_figures.novelty(lists, owners, len(known.items)),
        "popularity": list_figures.popularity(lists, owners),
        "popularity_lift": list_figures.popularity_lift(lists, contest.seen, owners),
        "miscalibration": list_figures.miscalibration(lists, contest.seen, categories),
    }
    if vectors is not None:
        values["diversity"] = list_figures.diversity(lists, vectors)
    for metric, of_users in values.items():
        yield _mean(model, WARM, metric, of_users)


def _shares(contest: Contest, users: EvaluationUsers) -> Iterator[Figure]:
    """Of the targets, those that no model can find; of the users, those who have a history."""
    yield Figure(MODEL, WARM, "unknown_target_share", float(np.mean(contest.targets.values < 0)), len(users))
    everybody = len(users) + len(users.strangers)
    yield Figure(MODEL, EVERYBODY, "known_user_share", len(users) / everybody, everybody)


def _mean(model: str, segment: str, metric: str, values: NDArray[np.floating]) -> Figure:
    count = int(np.isfinite(values).sum())
    return Figure(model, segment, metric, float(np.nanmean(values)) if count else np.nan, count)
