"""The decision about an anchor's model: it must rank better than popularity, else it is not used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recpipe import delta
from recpipe.errors import UserError
from recpipe.evaluation.baselines import popular_all_time, popular_recent
from recpipe.evaluation.metrics import METRICS as FIGURES
from recpipe.job import JobResult
from recpipe.model.anchors import Plan, skip_reason
from recpipe.model.batches import TrainingFiles
from recpipe.model.candidates import ATTEMPTS, Inputs, read_inputs, refit, told_start, train_candidate
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import read_catalogue
from recpipe.model.examples import positions, read_evaluation_users
from recpipe.model.judging import Contest
from recpipe.model.registry import CANDIDATE, CHAMPION, Registry
from recpipe.settings import Settings
from recpipe.tables import EVALUATION_EXAMPLES, METRICS, MODEL_VERDICTS

MODEL = "two_tower"


@dataclass(frozen=True)
class Judgement:
    """Figures by model, and over how many users and for which share of targets they stand."""

    figures: Mapping[str, Mapping[str, float]]
    users: int
    strangers: int
    unknown_target_share: float

    def best_baseline(self) -> str:
        """The baseline with the greatest NDCG@10; equal ones by name."""
        return min((name for name in self.figures if name != MODEL), key=lambda name: (-self.ndcg(name), name))

    def ndcg(self, model: str) -> float:
        return self.figures[model]["ndcg_at_10"]


@dataclass(frozen=True)
class Verdict:
    verdict: str
    reason: str
    model_version: str | None = None
    judgement: Judgement | None = None
    candidate_version: str | None = None


def decide_anchors(settings: Settings, anchors: Sequence[date]) -> JobResult:
    """Decide every anchor, in ascending order, and record the decisions.

    With a warm start an anchor whose candidate waited for the decisions before is trained on the way.

    Raises:
        UserError: an anchor was given up, or a candidate is missing. The other decisions stand.
    """
    registry = Registry(settings.registry)
    said, broken, versions, recorded = [], [], {}, 0
    for anchor in anchors:
        verdict, written = record(settings, anchor, decide(settings, registry, anchor))
        versions, recorded = versions | written, recorded + bool(written)
        said.append(f"{anchor} {verdict.verdict}{'' if written else ' by another run'}: {verdict.reason}")
        if verdict.verdict == "failed":
            broken.append(said[-1])
    if broken:
        raise UserError("; ".join(broken) + "; later nights use the champion")
    read = sum(delta.count_rows(settings.lake, EVALUATION_EXAMPLES, anchor) for anchor in anchors)
    return JobResult("; ".join(said), {EVALUATION_EXAMPLES.name: read}, {MODEL_VERDICTS.name: recorded}, versions)


def decide(settings: Settings, registry: Registry, anchor: date) -> Verdict:
    reason = skip_reason(settings, anchor)
    if reason:
        return Verdict("skipped", reason)
    inputs = read_inputs(settings, anchor)
    if registry.broken_attempts(anchor, inputs.hash) >= ATTEMPTS:
        return Verdict("failed", f"its training broke {ATTEMPTS} times")
    candidate = registry.find(CANDIDATE, anchor, inputs.hash)
    if candidate is None and settings.model.warm_start:
        candidate = train_candidate(settings, registry, inputs)
    if candidate is None:
        raise UserError(
            f"expected a candidate of anchor day {anchor} trained with these settings, found none; "
            "run `recpipe run train_two_tower` for the same day first"
        )
    judgement = judge(settings, inputs.plan, candidate)
    return _verdict(settings, registry, inputs, candidate, judgement)


def _verdict(
    settings: Settings, registry: Registry, inputs: Inputs, candidate: Checkpoint, judgement: Judgement
) -> Verdict:
    baseline = judgement.best_baseline()
    model, popularity = (judgement.figures[name] for name in (MODEL, baseline))
    promoted = judgement.ndcg(MODEL) > judgement.ndcg(baseline)
    reason = (
        f"over {judgement.users} users NDCG@10 {model['ndcg_at_10']:.4f} is {'' if promoted else 'not '}above the "
        f"{popularity['ndcg_at_10']:.4f} of {baseline} (Recall@10 {model['recall_at_10']:.4f} and "
        f"{popularity['recall_at_10']:.4f}){told_start(settings, candidate)}"
    )
    if not promoted:
        return Verdict("rejected", reason, None, judgement, candidate.model_version)
    epochs = int(candidate.training["epochs"])
    champion = registry.find(CHAMPION, inputs.anchor, inputs.hash) or refit(settings, registry, inputs, epochs)
    registry.show_champion(champion.model_version, model)
    reason += f"; trained again for {epochs} epochs on all up to {inputs.anchor}"
    return Verdict("promoted", reason, champion.model_version, judgement, candidate.model_version)


def judge(settings: Settings, plan: Plan, candidate: Checkpoint) -> Judgement:
    """Measure the candidate and popularity on one set of users, over one set of items.

    Ranked are all items that the candidate has a vector for, but those that the user has. A target that is none of
    them, such as an item that nobody knew at the cut, counts as missed, for every model. Users without a history at the
    cut are no part of it: no model can rank for them, and each would be given the same popular items.

    Nothing was chosen on these users, and they are looked at once.
    """
    users = read_evaluation_users(settings.lake, plan.judges)
    item = candidate.model.config.item
    catalogue = read_catalogue(settings, plan.candidate.ds, item.inputs, item.image_size)
    contest = Contest.of(users, catalogue, candidate.known, item.inputs)
    sequences = TrainingFiles.of(settings.lake, plan.candidate).read()
    numbers = contest.ranked.numbers
    places, count = positions(sequences.items, numbers, missing=-1), len(numbers)
    models = {
        MODEL: contest.vectors(candidate.model, candidate.known),
        "popular_all_time": _for_all(popular_all_time(places, count), len(users)),
        "popular_recent": _for_all(popular_recent(places, sequences.days, count, candidate.until), len(users)),
    }
    return Judgement(
        figures={name: figures_of(contest, *model) for name, model in models.items()},
        users=len(users),
        strangers=users.strangers,
        unknown_target_share=float(np.mean(contest.targets.values < 0)),
    )


def figures_of(contest: Contest, users: NDArray[np.floating], items: NDArray[np.floating]) -> dict[str, float]:
    """Mean of every metric over the users that have targets."""
    hits, wanted = contest.hits(users, items), contest.targets.lengths()
    return {name: float(np.nanmean(metric(hits, wanted))) for name, metric in FIGURES.items()}


def _for_all(scores: NDArray[np.floating], users: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """One score an item as vectors of length 1, alike for every user."""
    return np.ones((users, 1)), scores[:, None]


def record(settings: Settings, anchor: date, verdict: Verdict) -> tuple[Verdict, dict[str, int]]:
    """Write the figures, then the verdict, unless another run decided meanwhile: a verdict never changes.

    Gives the verdict that counts, and the versions written: none when it is the other run's.
    """
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        if standing := decided(settings.lake, anchor):
            return standing, {}
        row = {
            "ds": anchor,
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "model_version": verdict.model_version,
            "effective_from": anchor,
            "sequence": 0,
        }
        return verdict, {
            METRICS.name: delta.overwrite_partition(settings.lake, METRICS, metric_rows(anchor, verdict), anchor),
            MODEL_VERDICTS.name: delta.overwrite_partition(settings.lake, MODEL_VERDICTS, [row], anchor),
        }


def decided(root: Path, anchor: date) -> Verdict | None:
    """The decision that stands for the anchor's own model, if there is one."""
    with delta.connect(root, [MODEL_VERDICTS]) as lake:
        found = lake.execute(
            "select verdict, reason, model_version from model_verdicts where ds = ? order by sequence limit 1", [anchor]
        ).fetchone()
    return Verdict(*found) if found else None


def metric_rows(anchor: date, verdict: Verdict) -> list[dict[str, object]]:
    """The judgement as rows of table `metrics`; none when nothing was judged."""
    judgement = verdict.judgement
    if judgement is None:
        return []
    rows = [
        (model, metric, value, judgement.users)
        for model, figures in judgement.figures.items()
        for metric, value in figures.items()
    ]
    rows.append((MODEL, "unknown_target_share", judgement.unknown_target_share, judgement.users))
    known = judgement.users / (judgement.users + judgement.strangers)
    rows.append((MODEL, "known_user_share", known, judgement.users + judgement.strangers))
    return [
        {
            "ds": anchor,
            "model": model,
            "model_version": verdict.candidate_version if model == MODEL else f"{anchor}-{model}",
            "metric": metric,
            "value": value,
            "users": users,
        }
        for model, metric, value, users in rows
    ]
