"""The training loop, all of it visible.

All randomness (weights, order, dropout) comes from PyTorch's default generator, seeded once: the same rows, settings
and number of threads give the same weights bit by bit on one kind of CPU.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recpipe.errors import UserError
from recpipe.model.assembly import asked_in_vain, new_model
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue
from recpipe.model.examples import Sequences, known_items, positions
from recpipe.model.histories import Histories, in_blocks, in_groups
from recpipe.model.items import Items
from recpipe.model.objective import Objective
from recpipe.model.progress import Epoch, Progress
from recpipe.model.ranks import Ranks
from recpipe.model.towers import TwoTower
from recpipe.model.user_towers import UserTowerConfig
from recpipe.model.warm_start import warmed
from recpipe.model_settings import ModelSettings
from recpipe.tables import INTERACTION_TYPES


@dataclass(frozen=True)
class Trained:
    model: TwoTower
    known: NDArray[np.int32]  # item numbers by place, ascending
    interactions: int  # items in all sequences
    epochs: int  # after which the weights were taken
    log: tuple[Epoch, ...]
    warm: bool  # whether it started from another model


READ_EVERY = {"cpu": 1, "cuda": 16}
"""Steps from one look at the loss to the next. A GPU is waited for at each; a sum that was not finite stays so."""

SAVE_EVERY_SECONDS = 60.0
"""A training that was killed loses at most this and an epoch."""

MOST_PAIRS = 1024 * 200**2
"""Pairs of places of which attention holds the numbers at once when vectors are made: about a gigabyte."""

Validate = Callable[[NDArray[np.int32]], Callable[[TwoTower], float]]
"""A model's known items to what gives it a figure, of which more is better: asked once, then after every epoch."""


def train(  # noqa: PLR0913 - what it learns from, how, and when it is to end
    read_epoch: Callable[[], Sequences],
    catalogue: Catalogue,
    settings: ModelSettings,
    seed: int,
    *,
    had_by: Collection[str] = INTERACTION_TYPES,
    validate: Validate | None = None,
    epochs: int | None = None,
    start: Checkpoint | None = None,
    unfinished: Path | None = None,
) -> Trained:
    """Train a model on the sequences that ``read_epoch`` gives anew for each epoch.

    ``had_by`` are the event types by which a user has an item, `Settings.target_events`: such items are never ranked
    for the user, so they are no negatives either.

    With ``validate``, the weights of the epoch with the greatest value are kept, and training stops after
    ``settings.patience`` epochs without a greater one; values of 0 tell no epoch from another, and none stops for them.
    Without it, training stops after ``epochs``.

    The learning rate decays over ``settings.epochs`` in both cases, also when training stops before: so a refit for
    the chosen number of epochs walks the same schedule as the run that chose it. A decay to 0 over the chosen epochs
    would be another schedule than the one whose validation chose them.

    It starts from what ``start`` learned, if that is of the shape that the settings want; else cold, and says so.

    ``unfinished`` is a file for the state of the training. One that was killed goes on from there when it is started
    again with the same rows, start, settings and code, and alone on a CPU it ends with the same bits. Who keeps the
    model removes it.

    In processes that torchrun started, all of which must call this with the same arguments (``validate`` counts in the
    first alone), each takes a part of every batch; all of them end with the same model.

    The model knows the items that occur. One that nobody had would keep its random vector and must not be ranked.

    Raises:
        UserError: the loss is not finite. There is no model then.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(seed)
    ranks = Ranks.here()
    device = ranks.device
    raw = read_epoch()
    known = known_items(raw.items)
    content, sequences = catalogue.of_items(known).content, _placed(raw, known)
    interactions = int((raw.items >= 0).sum())
    del raw  # the next epoch's rows come beside the last one's
    if missing := asked_in_vain(settings, content, sequences):
        ranks.say(f"the settings ask for {', '.join(missing)}, which no item or user of the training has")
    model = new_model(settings, content, sequences, device)
    warm = start is not None and warmed(model, known, content, start, ranks)
    items = Items.of(np.arange(len(known)), content, device)
    objective = Objective.of(model, items, settings, sequences, had_by)
    optimizer = optimizer_of(model, settings)
    last, figure = epochs or settings.epochs, validate(known) if validate else lambda _: math.nan
    progress = Progress(objective, optimizer)
    if unfinished and progress.restore(unfinished):
        ranks.say(f"going on after epoch {len(progress.log)}")
    if ranks.rank:  # else all would leave out the same activations
        torch.manual_seed(seed + ranks.rank + ranks.count * len(progress.log))
    saved = time.monotonic()
    for number in range(len(progress.log) + 1, last + 1):
        if progress.epochs_since_best() >= settings.patience:
            break
        began = time.monotonic()
        sequences = sequences or _placed(read_epoch(), known)
        loss = _one_epoch(objective, optimizer, sequences, settings, number, ranks)
        rows_per_second = len(sequences) / (time.monotonic() - began)
        ndcg = ranks.number_of_first(math.nan if ranks.rank else figure(model))
        progress.add(Epoch(number, loss, rows_per_second, ndcg))
        sequences = None  # the next epoch reads them anew
        ranks.say(_report(progress.log[-1], last, time.monotonic() - began))
        if unfinished and not ranks.rank and time.monotonic() - saved >= SAVE_EVERY_SECONDS:
            progress.save(unfinished)
            saved = time.monotonic()
    if validate and not any(epoch.ndcg > 0 for epoch in progress.log):
        ranks.say(f"validation found no target in any of {last} epochs, so the last one's weights are taken")
    model.load_state_dict(progress.best)
    return Trained(model.eval(), known, interactions, progress.best_epoch, tuple(progress.log), warm)


def optimizer_of(model: TwoTower, settings: ModelSettings) -> torch.optim.Optimizer:
    """AdamW, by which the ids' vectors decay at a rate of their own."""
    parameters = dict(model.named_parameters())
    ids = parameters.pop("item_tower.ids.weight", None)
    groups = [{"params": list(parameters.values()), "weight_decay": settings.weight_decay}]
    if ids is not None:
        groups.append({"params": [ids], "weight_decay": settings.id_weight_decay})
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _one_epoch(  # noqa: PLR0913, PLR0917 - what is trained, on what and how, and by whom
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    sequences: Sequences,
    settings: ModelSettings,
    number: int,
    ranks: Ranks,
) -> float:
    """Every sequence once, in a new order. Gives the mean loss of a prediction."""
    objective.model.train()
    device = objective.model.log_scale.device
    batches = math.ceil(len(sequences) / settings.batch_size)
    parameters = list(objective.model.parameters())
    total, predictions = torch.zeros((), device=device), 0
    for step, batch in enumerate(_batches(sequences, settings.batch_size, objective, ranks)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, batches, (number - 1) * batches + step)
        with _precision(device, settings):
            found = objective.loss(batch)
        optimizer.zero_grad(set_to_none=True)
        found = ranks.backward(found, parameters)
        if found is None:
            continue
        loss, count = found
        optimizer.step()
        total, predictions = total + loss.detach() * count, predictions + count
        if step % READ_EVERY[device.type] == 0:
            _require_finite(total, settings, number)
    _require_finite(total, settings, number)
    return total.item() / max(predictions, 1)


def _require_finite(loss: Tensor, settings: ModelSettings, epoch: int) -> None:
    if not torch.isfinite(loss):
        raise UserError(
            f"expected a finite loss, found {loss.item()} in epoch {epoch}; no model was kept: lower "
            f"RECPIPE_MODEL__LEARNING_RATE, now {settings.learning_rate}"
        )


def learning_rate(settings: ModelSettings, batches: int, step: int) -> float:
    """Warm-up in a straight line, then a half cosine to 0 over ``settings.epochs`` of ``batches`` steps each."""
    steps = settings.epochs * batches
    warmup = min(settings.warmup_steps, steps // 10)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def _placed(sequences: Sequences, known: NDArray[np.int32]) -> Sequences:
    """Item numbers as places among the known items, padding ``len(known)``."""
    places = positions(sequences.items, known, missing=len(known))
    return replace(sequences, items=places)


def _batches(sequences: Sequences, size: int, objective: Objective, ranks: Ranks) -> Iterator[list[Histories]]:
    """``size`` sequences at a time in a new order; of each batch this rank's part, in groups of like lengths.

    A GPU works on paddings beside the rest, and would rather have one group.
    """
    padding, on_cpu = len(objective.items.ids), objective.items.ids.device.type == "cpu"
    order = ranks.of_first(torch.randperm(len(sequences))).numpy()
    for first in range(0, len(order), size):
        batch = sequences[ranks.mine(order[first : first + size])]
        yield in_groups(batch, padding) if on_cpu else [Histories.of(batch, padding)]


def _precision(device: torch.device, settings: ModelSettings) -> AbstractContextManager:
    coarse = device.type == "cuda" and settings.precision == "bfloat16"
    return torch.autocast("cuda", dtype=torch.bfloat16) if coarse else nullcontext()


def _report(epoch: Epoch, last: int, seconds: float) -> str:
    """``seconds``: what the epoch took."""
    left = seconds * (last - epoch.number)
    ndcg = "" if math.isnan(epoch.ndcg) else f", validation NDCG@10 {epoch.ndcg:.4f}"
    return (
        f"epoch {epoch.number} of {last}: loss {epoch.loss:.4f}, {epoch.rows_per_second:,.0f} rows/s{ndcg}, "
        f"at most {left:.0f} s left"
    )


@torch.inference_mode()
def vectors(
    model: TwoTower, known: NDArray[np.int32], histories: Sequences, catalogue: Catalogue
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The stored vectors of users and items, whose dot product is the score, in float32.

    Args:
        known: the item numbers that the model was trained on, ascending.
        histories: (users, length); items that are not in the ``catalogue`` are passed over.
        catalogue: the items to be ranked, among them all ``known`` ones; see `Catalogue.rankable`.

    Returns:
        (users, size + 1) and (items, size + 1).
    """
    model.eval()
    device = model.log_scale.device
    items = Items.of(positions(catalogue.numbers, known, missing=len(known)), catalogue.content, device)
    table = model.catalogue(items)
    users = np.zeros((len(histories), model.config.user.size + 1), dtype=np.float32)
    length = model.config.user.history_length  # histories may have grown since the model was made
    sequences, padding = histories.as_rows_of(catalogue.numbers).last(length), len(catalogue.numbers)
    for rows, block in in_blocks(sequences, padding, _users_at_once(model.config.user)):
        users[rows] = model.user_vectors(table, *block.to(device)).cpu().numpy()
    return users, model.item_vectors(table, items).cpu().numpy()


def _users_at_once(config: UserTowerConfig) -> int:
    """One size for a model, by the longest history and not by those that are there: another may round differently."""
    return min(1024, max(1, MOST_PAIRS // (config.heads * config.history_length**2)))
