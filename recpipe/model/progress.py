"""What a training has come to after an epoch, in memory and on disk, so that one that was killed can go on."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recpipe.files import whole
from recpipe.model.objective import Objective

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    number: int  # from 1
    loss: float
    rows_per_second: float
    ndcg: float  # NaN when there is no validation


@dataclass
class Progress:
    objective: Objective
    optimizer: torch.optim.Optimizer
    log: list[Epoch] = field(default_factory=list)
    best: Tensors = field(default_factory=dict)  # the weights of `best_epoch`
    best_epoch: int = 0

    def add(self, epoch: Epoch) -> None:
        """Note an epoch; its weights are the best if nothing judges them, or none before were as good or found
        anything."""
        self.log.append(epoch)
        before = self.log[self.best_epoch - 1].ndcg
        if not self.best or math.isnan(epoch.ndcg) or before == 0 or epoch.ndcg > before:
            weights = self.objective.model.state_dict()
            self.best_epoch, self.best = epoch.number, {name: value.clone() for name, value in weights.items()}

    def epochs_since_best(self) -> int:
        return len(self.log) - self.best_epoch

    def save(self, file: Path) -> None:
        """Write the state, all of which decides how the training goes on; the file appears whole or not at all."""
        told = json.dumps({"log": [asdict(epoch) for epoch in self.log], "best_epoch": self.best_epoch})
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._tensors().items()}
        with whole(file) as staged:
            save_file(tensors, staged, metadata={"told": told})

    def restore(self, file: Path) -> bool:
        """Go on from a file that `save` wrote for a training of the same rows, settings and code.

        Gives whether it could be done; else nothing was changed, and the reason is printed.
        """
        if not file.exists():
            return False
        try:
            with safe_open(os.fspath(file), framework="pt") as saved:
                told = json.loads(saved.metadata()["told"])
                tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - it is no dict
            self._take(tensors)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            print(f"the state of an unfinished training could not be read, so it starts anew: {error}", flush=True)
            return False
        self.log, self.best_epoch = [Epoch(**epoch) for epoch in told["log"]], told["best_epoch"]
        return True

    def _tensors(self) -> Tensors:
        state = self.optimizer.state_dict()["state"]
        return {
            **_named("model", self.objective.model.state_dict()),
            **_named("best", self.best),
            **{f"optimizer.{at}.{name}": value for at, values in state.items() for name, value in values.items()},
            **_named("shares", self.objective.learned_shares()),
            **_named("random", _random_states()),
        }

    def _take(self, tensors: Tensors) -> None:
        """Raises:
        ValueError: the tensors are of another model; nothing was changed.
        """
        for part in ("model", "best"):
            if _shapes(_of(part, tensors)) != _shapes(self.objective.model.state_dict()):
                raise ValueError("it is of another model")
        state: dict[int, Tensors] = {}
        for name, value in _of("optimizer", tensors).items():
            at, _, what = name.partition(".")
            state.setdefault(int(at), {})[what] = value
        groups = self.optimizer.state_dict()["param_groups"]
        best = _of("best", tensors)
        self.objective.model.load_state_dict(_of("model", tensors))
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        for name, value in self.objective.learned_shares().items():
            value.copy_(tensors[f"shares.{name}"])
        self.best = {name: value.to(self.objective.items.ids.device) for name, value in best.items()}
        random = _of("random", tensors)
        torch.set_rng_state(random["cpu"])
        if "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"])


def _random_states() -> Tensors:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _named(part: str, tensors: Tensors) -> Tensors:
    return {f"{part}.{name}": tensor for name, tensor in tensors.items()}


def _of(part: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}


def _shapes(tensors: Tensors) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
