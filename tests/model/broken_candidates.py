"""Candidates that must not get in, each a trained one that was broken in its own way, put in the whole one's place.

`python -m tests.model.broken_candidates ANCHOR KIND` does so for the tests of whole nights, which run elsewhere.
"""

import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import date

import numpy as np
import torch

from recpipe.model.batches import TrainingFiles
from recpipe.model.candidates import read_inputs
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.registry import CANDIDATE, Registry
from recpipe.settings import Settings, read_settings
from tests.model.conftest import candidate_of

Broken = Callable[[Checkpoint, Settings], Checkpoint]


def _shuffled(whole: Checkpoint, _: Settings) -> Checkpoint:
    """What was learned of an item belongs to another."""
    ids = whole.model.item_tower.ids.weight
    ids[:-1] = ids[torch.randperm(len(ids) - 1, generator=torch.Generator().manual_seed(0))]
    return whole


def _constant(whole: Checkpoint, _: Settings) -> Checkpoint:
    for weight in whole.model.parameters():
        weight.zero_()
    return whole


def _not_finite(whole: Checkpoint, _: Settings) -> Checkpoint:
    """Weights that are numbers, which is all that a checkpoint asks, and a vector that is none."""
    whole.model.item_tower.ids.weight[3].fill_(3e38)
    return whole


def _stale(whole: Checkpoint, settings: Settings) -> Checkpoint:
    """The candidate of the anchor day before, which does not know what has appeared since."""
    older = candidate_of(settings, read_inputs(settings, whole.anchor).plan.candidate.ds)
    return replace(whole, model=older.model, known=older.known)


def _without_tail(whole: Checkpoint, settings: Settings) -> Checkpoint:
    """Of the half of the items that fewest have the opposite is known; the others are ranked as well as before."""
    rows = TrainingFiles.of(settings.lake, read_inputs(settings, whole.anchor).plan.candidate).read().items
    owners = np.bincount(rows[rows >= 0], minlength=int(whole.known.max()) + 1)[whole.known]
    tail = np.argsort(owners, kind="stable")[: len(owners) // 2]
    whole.model.item_tower.ids.weight[torch.from_numpy(tail)] *= -1
    return whole


def _without_users(whole: Checkpoint, _: Settings) -> Checkpoint:
    """Nothing is known of a third of the items, so that it says nothing about those who have them alone."""
    whole.model.item_tower.ids.weight[: len(whole.known) // 3] = 0
    return whole


KINDS: Mapping[str, Broken] = {
    "shuffled": _shuffled,
    "constant": _constant,
    "not finite": _not_finite,
    "stale": _stale,
    "without tail": _without_tail,
    "without users": _without_users,
}


def break_candidate(settings: Settings, anchor: date, kind: str) -> None:
    """Put a broken model in the place of the anchor's candidate."""
    whole = candidate_of(settings, anchor)
    with torch.no_grad():
        broken = KINDS[kind](replace(whole, model=deepcopy(whole.model)), settings)
    registry = Registry(settings.registry)
    with registry.attempt(CANDIDATE, anchor, read_inputs(settings, anchor).hash, {}) as attempt:
        attempt.keep(broken, [])


if __name__ == "__main__":
    anchor, kind = sys.argv[1:]
    break_candidate(read_settings(), date.fromisoformat(anchor), kind)
