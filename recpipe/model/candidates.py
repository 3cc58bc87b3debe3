"""Training an anchor's candidate, and the refit of one that was promoted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from recpipe.job import JobResult
from recpipe.model.anchors import Plan, Rows, examples_hash, item_numbering, plan_of
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue, read_catalogue
from recpipe.model.launch import Training, trained
from recpipe.model.progress import Epoch
from recpipe.model.registry import CANDIDATE, CHAMPION, Attempt, Registry
from recpipe.settings import Settings

ATTEMPTS = 3
"""Trainings of one anchor that may break before it is given up."""


@dataclass(frozen=True)
class Inputs:
    """Where an anchor's models come from. ``hash`` names the rows and settings, so that no model of others is taken."""

    anchor: date
    plan: Plan
    hash: str


def read_inputs(settings: Settings, anchor: date) -> Inputs:
    plan = plan_of(settings, anchor)
    numbering, rows = item_numbering(settings.lake, anchor), examples_hash(settings, plan)
    deciding = [settings.model.model_dump(), settings.seed, numbering, plan, rows]
    digest = hashlib.sha256(json.dumps(deciding, default=str).encode()).hexdigest()[:16]
    return Inputs(anchor, plan, digest)


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
    """Choose the number of epochs on what came after an inner cut, then train anew with it for as many."""
    plan, model = inputs.plan, settings.model
    catalogue = _catalogue(settings, plan.trial)  # the candidate's too, which knows the same day
    print(f"choosing the epochs for {inputs.anchor} on interactions up to {plan.trial.until}", flush=True)
    with registry.attempt(CANDIDATE, inputs.anchor, inputs.hash, model.model_dump()) as attempt:
        choice = Training(plan.trial, attempt.unfinished / "choice.safetensors", chooses=plan.chooses)
        chosen = trained(settings, choice, catalogue)
        print(f"training the candidate of {inputs.anchor} on interactions up to {plan.candidate.until}", flush=True)
        checkpoint, _ = _fit(settings, inputs.anchor, plan.candidate, chosen.epochs, catalogue, attempt)
        attempt.keep(checkpoint, chosen.log)
    return checkpoint


def refit(settings: Settings, registry: Registry, inputs: Inputs, epochs: int) -> Checkpoint:
    """Train on all that was known on the anchor day, for as many epochs as the candidate."""
    champion = inputs.plan.champion
    print(f"training the champion of {inputs.anchor} on all interactions up to that day", flush=True)
    with registry.attempt(CHAMPION, inputs.anchor, inputs.hash, settings.model.model_dump()) as attempt:
        checkpoint, log = _fit(settings, inputs.anchor, champion, epochs, _catalogue(settings, champion), attempt)
        attempt.keep(checkpoint, log)
    return checkpoint


def _fit(  # noqa: PLR0913, PLR0917 - what it is trained on, for how long, and where its state is kept
    settings: Settings, anchor: date, rows: Rows, epochs: int, catalogue: Catalogue, attempt: Attempt
) -> tuple[Checkpoint, tuple[Epoch, ...]]:
    files = TrainingFiles.of(settings.lake, rows)
    fit = trained(settings, Training(rows, attempt.unfinished / "model.safetensors", epochs=epochs), catalogue)
    training = {"rows": files.rows, "interactions": fit.interactions, "epochs": epochs, "seed": settings.seed}
    checkpoint = Checkpoint(
        anchor=anchor,
        until=rows.until,
        model=fit.model,
        known=fit.known,
        item_numbering=item_numbering(settings.lake, rows.ds),
        training=training,
        table_versions={"training_examples": files.version},
    )
    return checkpoint, fit.log


def _catalogue(settings: Settings, rows: Rows) -> Catalogue:
    return read_catalogue(settings, rows.ds, settings.model.item_inputs, settings.model.image_size)
