"""A model on disk: `weights.safetensors` and `checkpoint.json`, which explains it. Nothing is pickled."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from recpipe.errors import UserError
from recpipe.model.towers import TowerConfig, TwoTower

WEIGHTS, EXPLANATION, KNOWN_ITEMS = "weights.safetensors", "checkpoint.json", "known_items"
STAGED = ".staged-"
"""How the name of a folder begins in which a model is not whole yet."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and what it was trained on."""

    anchor: date
    until: date  # last day whose interactions it has seen
    known_on: date  # day of whose knowledge they are; a champion's anchor
    model: TwoTower
    known: NDArray[np.int32]  # item numbers by place, ascending; it can rank these items and no others
    item_numbering: str  # hash of the items and their numbers as of known_on
    training: Mapping[str, float | str]  # rows, interactions, epochs, seed; which models it started from, if any
    table_versions: Mapping[str, int]  # where it came from; not part of what it is, so not of model_version

    @property
    def model_version(self) -> str:
        """Anchor day and content hash: the same data and settings give the same one, whenever and wherever."""
        content = json.dumps(self._content(self._weights()), sort_keys=True)
        return f"{self.anchor}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def save(self, folder: Path) -> None:
        """Write both files to ``folder``, which appears whole or not at all.

        Raises:
            UserError: a weight is not finite.
        """
        for name, tensor in self.model.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise UserError(f"expected finite weights, found NaN or infinity in {name}; lower the learning rate")
        weights = self._weights()
        explanation = self._content(weights) | {"table_versions": dict(self.table_versions)}
        explanation["model_version"] = self.model_version
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder.parent))
        try:
            (staged / WEIGHTS).write_bytes(weights)
            (staged / EXPLANATION).write_text(json.dumps(explanation, indent=2, sort_keys=True) + "\n")
            staged.chmod(0o755)  # a temporary folder is its owner's alone
            staged.rename(folder)
        except OSError:
            shutil.rmtree(staged, ignore_errors=True)
            raise

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises:
        UserError: a file is missing, or is not the one that was written.
        """
        try:
            explanation = json.loads((folder / EXPLANATION).read_text())
            weights = (folder / WEIGHTS).read_bytes()
            expected, found = explanation["weights_sha256"], hashlib.sha256(weights).hexdigest()
        except FileNotFoundError as error:
            raise UserError(
                f"expected a model at {folder}, found no {Path(error.filename).name}; restore the registry"
            ) from None
        except (ValueError, TypeError, KeyError):
            raise UserError(f"expected {EXPLANATION} of a model at {folder}, found it broken; restore it") from None
        if found != expected:
            raise UserError(
                f"expected weights with SHA-256 {expected} at {folder}, found {found}; restore the registry"
            )
        tensors = load_tensors(weights)
        known = tensors.pop(KNOWN_ITEMS).numpy()
        try:
            model = TwoTower(TowerConfig.of_json(explanation["config"]))
            model.load_state_dict(tensors)  # strict: a missing, unexpected or misshapen tensor is an error
            loaded = cls(
                **{name: date.fromisoformat(explanation[name]) for name in ("anchor", "until", "known_on")},
                **{name: explanation[name] for name in ("item_numbering", "training", "table_versions")},
                model=model.eval(),
                known=known,
            )
            expected = explanation["model_version"]
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise UserError(
                f"expected a model of this version of recpipe at {folder}, found one of another; move the lake and the "
                "registry away, run `recpipe init`, and run the nights again"
            ) from None
        if loaded.model_version != expected:
            raise UserError(
                f"expected model {expected} at {folder}, found its {EXPLANATION} changed since; restore the registry"
            )
        return loaded

    def require_numbering(self, found: str) -> None:
        """Raises:
        UserError: the items of `known_on` have other numbers than those the model was trained with.
        """
        if found != self.item_numbering:
            raise UserError(
                f"expected the item numbers of {self.known_on} with hash {self.item_numbering[:12]}, with which model "
                f"{self.model_version} was trained, found {found[:12]}; the model belongs to another lake"
            )

    def _weights(self) -> bytes:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        return save_tensors(tensors | {KNOWN_ITEMS: torch.from_numpy(np.ascontiguousarray(self.known))})

    def _content(self, weights: bytes) -> dict[str, object]:
        return {
            "anchor": self.anchor.isoformat(),
            "until": self.until.isoformat(),
            "known_on": self.known_on.isoformat(),
            "config": asdict(self.model.config),
            "item_numbering": self.item_numbering,
            "training": dict(self.training),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
