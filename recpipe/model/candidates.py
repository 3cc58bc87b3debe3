"""Training an anchor's candidate, and the refit of one that was promoted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from recpipe.job import JobResult
from recpipe.model.anchors import Plan, Rows, Starts, examples_hash, item_numbering, plan_of, starts_of
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue, read_catalogue
from recpipe.model.launch import Training, trained
from recpipe.model.progress import Epoch
from recpipe.model.registry import CANDIDATE, CHAMPION, Registry
from recpipe.settings import Settings

ATTEMPTS = 3
"""Trainings of one model that may break before it is given up."""


@dataclass(frozen=True)
class Inputs:
    """Where an anchor's models come from. ``hash`` names it all, so that no model of other inputs is taken."""

    anchor: date
    plan: Plan
    starts: Starts
    hash: str


def read_inputs(settings: Settings, anchor: date) -> Inputs:
    plan = plan_of(settings, anchor)
    numbering, rows = item_numbering(settings.lake, anchor), examples_hash(settings, plan)
    starts = starts_of(settings, anchor, plan)
    deciding = [settings.model.model_dump(), settings.target_events, settings.seed, numbering, plan, rows, starts]
    digest = hashlib.sha256(json.dumps(deciding, default=str).encode()).hexdigest()[:16]
    return Inputs(anchor, plan, starts, digest)


def train_candidates(settings: Settings, anchors: Sequence[date]) -> JobResult:
    """Train a candidate for each anchor that has none yet.

    An anchor whose training broke ``ATTEMPTS`` times is left to `promote_model`, which gives it up. With a warm start
    so are all but the first: they start from what is decided before them.
    """
    registry = Registry(settings.registry)
    if settings.model.warm_start:
        anchors = anchors[:1]
    said, rows_in = [], 0
    for anchor in anchors:
        inputs = read_inputs(settings, anchor)
        candidate = registry.find(CANDIDATE, anchor, inputs.hash)
        if candidate:
            said.append(f"{candidate.model_version} was trained before")
        elif registry.broken_attempts(CANDIDATE, anchor, inputs.hash) >= ATTEMPTS:
            said.append(f"the training for {anchor} broke {ATTEMPTS} times")
        else:
            candidate = train_candidate(settings, registry, inputs)
            rows_in += int(candidate.training["rows"])
            epochs = f"trained {candidate.model_version} for {candidate.training['epochs']} epochs"
            said.append(epochs + told_start(settings, candidate))
    return JobResult("; ".join(said), rows_in={"training_examples": rows_in})


def train_candidate(settings: Settings, registry: Registry, inputs: Inputs) -> Checkpoint:
    """Choose the number of epochs on what came after an inner cut, then train anew with it for as many."""
    plan, starts, model = inputs.plan, inputs.starts, settings.model
    catalogue = _catalogue(settings, plan.trial)  # the candidate's too, which knows the same day
    with registry.attempt(CANDIDATE, inputs.anchor, inputs.hash, model.model_dump()) as attempt:
        choice = Training(plan.trial, attempt.unfinished / "choice.safetensors", plan.chooses, start=starts.trial)
        _say(settings, f"choosing the epochs for {inputs.anchor}", choice)
        chosen = trained(settings, choice, catalogue)
        fit = Training(
            plan.candidate, attempt.unfinished / "model.safetensors", epochs=chosen.epochs, start=starts.candidate
        )
        _say(settings, f"training the candidate of {inputs.anchor}", fit)
        checkpoint, _ = _fit(settings, inputs.anchor, fit, catalogue)
        if chosen.warm:
            told = {**checkpoint.training, "epochs_chosen_from": starts.trial}
            checkpoint = replace(checkpoint, training=told)
        attempt.keep(checkpoint, chosen.log)
    return checkpoint


def refit(settings: Settings, registry: Registry, inputs: Inputs, epochs: int) -> Checkpoint:
    """Train on all that was known on the anchor day, from where the candidate started and for as many epochs."""
    rows, start = inputs.plan.champion, inputs.starts.candidate
    with registry.attempt(CHAMPION, inputs.anchor, inputs.hash, settings.model.model_dump()) as attempt:
        fit = Training(rows, attempt.unfinished / "model.safetensors", epochs=epochs, start=start)
        _say(settings, f"training the champion of {inputs.anchor}", fit)
        checkpoint, log = _fit(settings, inputs.anchor, fit, _catalogue(settings, rows))
        attempt.keep(checkpoint, log)
    return checkpoint


def told_start(settings: Settings, candidate: Checkpoint) -> str:
    """What the candidate's trainings started from, to follow what else is said of it; empty if all start cold."""
    if not settings.model.warm_start:
        return ""
    itself, trial = (candidate.training.get(name, "nothing") for name in ("started_from", "epochs_chosen_from"))
    return f", started from {itself} (to choose the epochs, from {trial})"


def _say(settings: Settings, what: str, training: Training) -> None:
    start = ""
    if settings.model.warm_start:
        start = f", starting from {training.start or 'nothing, since that day had no champion'}"
    print(f"{what} on interactions up to {training.rows.until}{start}", flush=True)


def _fit(
    settings: Settings, anchor: date, training: Training, catalogue: Catalogue
) -> tuple[Checkpoint, tuple[Epoch, ...]]:
    rows, files = training.rows, TrainingFiles.of(settings.lake, training.rows)
    fit = trained(settings, training, catalogue)
    told = {"rows": files.rows, "interactions": fit.interactions, "epochs": training.epochs, "seed": settings.seed}
    checkpoint = Checkpoint(
        anchor=anchor,
        until=rows.until,
        known_on=rows.ds,
        model=fit.model,
        known=fit.known,
        item_numbering=item_numbering(settings.lake, rows.ds),
        training=told | ({"started_from": training.start} if fit.warm else {}),
        table_versions={"training_examples": files.version},
    )
    return checkpoint, fit.log


def _catalogue(settings: Settings, rows: Rows) -> Catalogue:
    return read_catalogue(settings, rows.ds, settings.model.item_inputs, settings.model.image_size)
