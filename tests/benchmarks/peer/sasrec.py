"""RecTools' SASRec, trained in an environment of its own; see `tests/benchmarks/peer.py`, which runs this script.

The setting is the one that RecTools' advanced training guide for transformers stops early by NDCG@10: softmax over the
whole catalogue, 256 factors, two blocks, four heads, dropout 0.2, sessions of 50, and else the library's defaults
(128 users a batch, Adam with 1e-3). These are also the settings of its published results, but for sessions of 100.

    sasrec.py FOLDER EPOCHS

FOLDER/interactions.npz has ``users``, ``items`` and ``times``, one row an interaction. After an epoch, vectors of all
users and items go to FOLDER/epoch-NNN.npz and the seconds so far to FOLDER/epochs.json; then a line is read, and the
next epoch begins unless there is none. A script that is started again goes on after the last epoch in the folder.
"""

import json
import logging
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet

SETTINGS = {
    **{"loss": "softmax", "n_factors": 256, "n_blocks": 2, "n_heads": 4, "dropout_rate": 0.2},
    **{"session_max_len": 50, "batch_size": 128, "lr": 1e-3},
}


@dataclass
class Told(Callback):
    """Tells of every epoch, and counts neither that nor the wait for an answer."""

    folder: Path
    dataset: Dataset

    def __post_init__(self) -> None:
        self.state = self.folder / "state.pt"
        self.saved = torch.load(self.state, weights_only=True) if self.state.exists() else None
        self.epochs = self.saved["epochs"] if self.saved else []
        self.resume()

    def resume(self) -> None:
        self.cpu, self.wall = time.process_time(), time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.saved:  # not earlier: the module draws its weights when the training starts
            module.load_state_dict(self.saved["model"])
            trainer.optimizers[0].load_state_dict(self.saved["optimizer"])
            self.saved = None

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        before = self.epochs[-1] if self.epochs else {"epoch": 0, "cpu_seconds": 0.0, "wall_seconds": 0.0}
        told = {
            "epoch": before["epoch"] + 1,
            "cpu_seconds": before["cpu_seconds"] + time.process_time() - self.cpu,
            "wall_seconds": before["wall_seconds"] + time.monotonic() - self.wall,
        }
        self.epochs.append(told)
        np.savez(self.folder / f"epoch-{told['epoch']:03}.npz", **vectors(module, self.dataset))
        state = {"model": module.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}
        _whole(self.state, lambda file: torch.save(state | {"epochs": self.epochs}, file))
        _whole(self.folder / "epochs.json", lambda file: file.write_text(json.dumps(self.epochs)))
        print(told["epoch"], flush=True)
        trainer.should_stop = not sys.stdin.readline()
        self.resume()


def _whole(file: Path, write) -> None:
    """The file appears whole or not at all."""
    staged = file.with_suffix(".part")
    write(staged)
    staged.rename(file)


@torch.inference_mode()
def vectors(module: LightningModule, dataset: Dataset) -> dict[str, np.ndarray]:
    """Of all users and known items, whose dot product is the model's score, in the order of ``users`` and ``items``."""
    net, preparator = module.torch_model, module.data_preparator
    known = preparator.transform_dataset_u2i(dataset, dataset.user_id_map.external_ids)
    net.eval()
    items = net.item_model.get_all_embeddings()
    batches = preparator.get_dataloader_recommend(known, 256)
    users = torch.cat([net.encode_sessions(batch, items)[:, -1] for batch in batches])
    net.train()
    return {
        "users": known.user_id_map.external_ids,
        "items": preparator.get_known_item_ids().astype(np.int64),
        "user_vectors": users.numpy(),
        "item_vectors": items[preparator.get_known_items_sorted_internal_ids()].numpy(),
    }


def main(folder: Path, epochs: int) -> None:
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    read = np.load(folder / "interactions.npz")
    interactions = pd.DataFrame({Columns.User: read["users"], Columns.Item: read["items"], Columns.Weight: 1})
    interactions[Columns.Datetime] = pd.to_datetime(read["times"], unit="s")
    dataset = Dataset.construct(interactions)
    told = Told(folder, dataset)
    seed_everything(len(told.epochs), verbose=False)

    def trainer() -> Trainer:
        return Trainer(
            accelerator="cpu",
            precision="bf16-mixed",
            max_epochs=epochs - len(told.epochs),
            callbacks=[told],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    model = SASRecModel(**SETTINGS, item_net_block_types=(IdEmbeddingsItemNet,), get_trainer_func=trainer)
    told.resume()
    model.fit(dataset)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
