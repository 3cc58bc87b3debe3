"""Whether a candidate may take the champion's place: by intervals over users, and by what its lists are like."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.bootstrap import Interval
from recpipe.evaluation.metrics import Lists
from recpipe.settings import GateSettings

Values = NDArray[np.floating]
"""(users,) NDCG@10 of the same users in the same order for all models; NaN for a user without targets."""
BySegment = Mapping[str, Values]
"""By segment, of the targets that are in it."""


CHAMPION = "champion"


@dataclass(frozen=True)
class Check:
    """One demand on a candidate: whether it is met, in which numbers, and what they are compared with."""

    passed: bool
    said: str


def enough_users(users: int, settings: GateSettings) -> Check:
    return Check(users >= settings.least_users, f"users judged on: {users} (least {settings.least_users})")


def finite(vectors: Iterable[NDArray[np.floating]]) -> Check:
    broken = sum(int((~np.isfinite(side)).any(axis=1).sum()) for side in vectors)
    return Check(not broken, f"vectors that are not finite: {broken} (most 0)")


def compared(
    candidate: BySegment, others: Mapping[str, BySegment], whole: str, settings: GateSettings, seed: int
) -> list[Check]:
    """The candidate beside the best baseline, beside the champion if ``others`` has one, both on the segment ``whole``,
    and beside that of the two it would take the place of in each segment."""
    baselines = {name: values[whole] for name, values in others.items() if name != CHAMPION}
    best = best_of(baselines)
    checks = [above_baseline(candidate[whole], baselines[best], best, seed)]
    champion = others.get(CHAMPION)
    if champion is not None:
        checks.append(not_below_champion(candidate[whole], champion[whole], settings, seed))
    reference = others[best] if champion is None else champion
    return [*checks, no_segment_fallen(candidate, reference, settings, seed)]


def best_of(models: Mapping[str, Values]) -> str:
    """The name of the greatest mean; of equal ones the first by name."""
    return min(models, key=lambda name: (-np.nanmean(models[name]), name))


def above_baseline(candidate: Values, baseline: Values, name: str, seed: int) -> Check:
    """The candidate is better than the baseline, surely: the lower bound of its lead is above 0."""
    lead = Interval.of(candidate - baseline, seed)
    means = f"{np.nanmean(candidate):.4f}, {name} {np.nanmean(baseline):.4f}"
    return Check(lead.lower > 0, f"NDCG@10 {means}, lead {lead} (lower bound above 0)")


def not_below_champion(candidate: Values, champion: Values, settings: GateSettings, seed: int) -> Check:
    """The candidate is not worse than the champion by more than the margin, surely."""
    lead = Interval.of(candidate - champion, seed)
    least = -settings.margin * float(np.nanmean(champion))
    return Check(
        lead.lower > least,
        f"NDCG@10 of the champion {np.nanmean(champion):.4f}, lead {lead} (lower bound above {least:.4f})",
    )


def no_segment_fallen(candidate: BySegment, reference: BySegment, settings: GateSettings, seed: int) -> Check:
    """In no segment is the candidate surely worse than the reference by more than the segments' margin.

    Segments of fewer than ``settings.least_users`` users tell nothing and are passed over.
    """
    fallen = []
    for name, values in candidate.items():
        if np.isfinite(values).sum() < settings.least_users:
            continue
        lead = Interval.of(values - reference[name], seed)
        most = settings.segment_margin * float(np.nanmean(reference[name]))
        if lead.upper < -most:
            fallen.append(f"{name} by {lead} (most: {-most:.4f})")
    return Check(not fallen, "segments fallen: " + ("; ".join(fallen) or "none"))


def lists_hold(lists: NDArray[np.integer], seen: Lists, owners: NDArray[np.integer], settings: GateSettings) -> Check:
    """The lists are as full as they can be, for nearly every user, and do not show everybody the same few items.

    Args:
        lists: (users, k) candidates, -1 where a user has fewer.
        seen: by user, candidates that are not shown.
        owners: (candidates,): how many users have each.
    """
    candidates, k = len(owners), lists.shape[1]
    most = np.minimum(k, candidates - np.bincount(seen.cells(0, len(seen))[0], minlength=len(seen)))
    shown = np.bincount(lists[lists >= 0], minlength=candidates)
    places = max(shown.sum(), 1)
    head = np.argsort(-owners, kind="stable")[: max(candidates // 100, 1)]
    of_head = shown[head].sum() / places
    floors = {
        "users served": (float((lists[most > 0, 0] >= 0).mean()), settings.least_served),
        "list fill": (float(shown.sum() / max(most.sum(), 1)), settings.least_fill),
        "coverage": (float(np.count_nonzero(shown) / min(candidates, places)), settings.least_coverage),
    }
    said = [f"{name} {value:.3f} (least {least:g})" for name, (value, least) in floors.items()]
    said.append(f"share of the most owned hundredth {of_head:.3f} (most {settings.most_popular:g})")
    passed = all(value >= least for value, least in floors.values()) and of_head <= settings.most_popular
    return Check(bool(passed), ", ".join(said))
