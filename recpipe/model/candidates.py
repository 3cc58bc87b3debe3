"""Training an anchor's candidate, and the refit of one that was promoted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.metrics import Lists, ndcg_at_k, ranking_hits
from recpipe.job import JobResult
from recpipe.model.anchors import cut_of, examples_hash, item_numbering
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.examples import EvaluationUsers, positions, read_evaluation_users
from recpipe.model.registry import CANDIDATE, CHAMPION, Registry
from recpipe.model.towers import TwoTower
from recpipe.model.training import Validate, train, vectors
from recpipe.settings import Settings

K = 10
ATTEMPTS = 3
"""Trainings of one anchor that may break before it is given up."""


@dataclass(frozen=True)
class Inputs:
    """Where an anchor's models come from. ``hash`` names the rows and settings, so that no model of others is taken."""

    anchor: date
    cut: date
    item_numbering: str
    hash: str


def read_inputs(settings: Settings, anchor: date) -> Inputs:
    numbering = item_numbering(settings.lake, anchor)
    deciding = [settings.model.model_dump(), settings.seed, numbering, examples_hash(settings.lake, anchor)]
    digest = hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:16]
    return Inputs(anchor, cut_of(settings.lake, anchor), numbering, digest)


def train_candidates(settings: Settings, anchors: Sequence[date]) -> JobResult:
    """Train a candidate for each anchor that has none yet.

    An anchor whose training broke ``ATTEMPTS`` times is left to `promote_model`, which gives it up.
    """
    registry = Registry(settings.registry)
    said, rows_in = [], 0
    for anchor in anchors:
        inputs = read_inputs(settings, anchor)
        candidate = registry.find(CANDIDATE, anchor, inputs.hash)
        if candidate:
            said.append(f"{candidate.model_version} was trained before")
        elif registry.broken_attempts(anchor, inputs.hash) >= ATTEMPTS:
            said.append(f"the training for {anchor} broke {ATTEMPTS} times")
        else:
            candidate = train_candidate(settings, registry, inputs)
            rows_in += int(candidate.training["rows"])
            said.append(f"trained {candidate.model_version} for {candidate.training['epochs']} epochs")
    return JobResult("; ".join(said), rows_in={"training_examples": rows_in})


def train_candidate(settings: Settings, registry: Registry, inputs: Inputs) -> Checkpoint:
    """Train up to the cut; the epoch is chosen on what came after it."""
    print(f"training the candidate of {inputs.anchor} on interactions up to {inputs.cut}", flush=True)
    return _fit(settings, registry, inputs, epochs=None)


def refit(settings: Settings, registry: Registry, inputs: Inputs, epochs: int) -> Checkpoint:
    """Train up to the anchor day for as many epochs as the candidate; nothing is left to choose on."""
    print(f"training the champion of {inputs.anchor} on all interactions up to that day", flush=True)
    return _fit(settings, registry, inputs, epochs)


def _fit(settings: Settings, registry: Registry, inputs: Inputs, epochs: int | None) -> Checkpoint:
    stage, until = (CANDIDATE, inputs.cut) if epochs is None else (CHAMPION, inputs.anchor)
    files = TrainingFiles.of(settings.lake, inputs.anchor, until)
    validate = validator(read_evaluation_users(settings.lake, inputs.anchor)) if epochs is None else None
    with registry.attempt(stage, inputs.anchor, inputs.hash, settings.model.model_dump()) as attempt:
        trained = train(files.read, settings.model, settings.seed, validate, epochs)
        checkpoint = Checkpoint(
            anchor=inputs.anchor,
            until=until,
            model=trained.model,
            known=trained.known,
            item_numbering=inputs.item_numbering,
            training={
                "rows": files.rows,
                "interactions": trained.interactions,
                "epochs": trained.epochs,
                "seed": settings.seed,
            },
            table_versions={"training_examples": files.version},
        )
        attempt.keep(checkpoint, trained.log)
    return checkpoint


def validator(users: EvaluationUsers) -> Validate:
    """Gives a model's mean NDCG@10 over ``users``, ranking every item that it knows but those seen."""

    def validate(model: TwoTower, known: NDArray[np.int32]) -> float:
        seen, targets = among(users.seen, known), among(users.targets, known)
        user_vectors, item_vectors = vectors(model, users.items, users.days, known)
        hits = ranking_hits(user_vectors, item_vectors, seen, targets, K)
        return float(np.nanmean(ndcg_at_k(hits, targets.lengths())))

    return validate


def among(items: Lists, known: NDArray[np.int32]) -> Lists:
    """Item numbers as places among the known items; -1 for an item that is unknown."""
    return replace(items, values=positions(items.values, known, missing=-1))
