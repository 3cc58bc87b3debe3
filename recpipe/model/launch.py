"""One training of an anchor: in this process, or in as many as the settings say, which torchrun starts."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from recpipe.errors import Interrupted, UserError
from recpipe.files import whole
from recpipe.model.anchors import Rows, Users, item_numbering
from recpipe.model.batches import TrainingFiles
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import Catalogue, read_catalogue
from recpipe.model.contest import validator
from recpipe.model.examples import read_evaluation_users
from recpipe.model.progress import Epoch
from recpipe.model.ranks import Ranks
from recpipe.model.towers import TowerConfig, TwoTower
from recpipe.model.training import Trained, train
from recpipe.settings import Settings


@dataclass(frozen=True)
class Training:
    """What is trained on which rows: until validation on the users says so, or for a number of epochs."""

    rows: Rows
    unfinished: Path  # see `train`
    chooses: Users | None = None
    epochs: int | None = None
    start: str | None = None  # version of the model that it starts from

    def run(self, settings: Settings, catalogue: Catalogue | None = None) -> Trained:
        """Train in this process, which may be one of several ranks. ``catalogue``: as of the rows' ds, if at hand."""
        model = settings.model
        files = TrainingFiles.of(settings.lake, self.rows)
        catalogue = catalogue or read_catalogue(settings, self.rows.ds, model.item_inputs, model.image_size)
        validate = None
        if self.chooses is not None:
            users = read_evaluation_users(settings.lake, self.chooses)
            validate = validator(users, catalogue, model.item_inputs)
        return train(
            files.read,
            catalogue,
            model,
            settings.seed,
            had_by=settings.target_events,
            validate=validate,
            epochs=self.epochs,
            start=self._start(settings),
            unfinished=self.unfinished,
        )

    def _start(self, settings: Settings) -> Checkpoint | None:
        """The model to start from, unless it knew what happened after the rows' last day.

        Raises:
            UserError: it is missing, or belongs to other item numbers.
        """
        if self.start is None:
            return None
        from recpipe.model.registry import Registry  # noqa: PLC0415 - MLflow takes each rank seconds

        start = Registry(settings.registry).load(self.start)
        start.require_numbering(item_numbering(settings.lake, start.known_on))
        if start.until > self.rows.until:
            Ranks.here().say(f"{self.start} knew {start.until}, so the training up to {self.rows.until} starts cold")
            return None
        return start


def trained(settings: Settings, training: Training, catalogue: Catalogue) -> Trained:
    """Raises:
    UserError: the loss is not finite, or what else the ranks found.
    Interrupted: a rank ended before its time.
    """
    if settings.model.ranks == 1:
        return training.run(settings, catalogue)
    training.unfinished.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=training.unfinished.parent) as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "trained.safetensors"
        told = {"settings": settings.model_dump(mode="json"), "job": os.getpid(), **asdict(training)}
        task.write_text(json.dumps(told, default=str))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={settings.model.ranks}", "-m", "recpipe.model.launch", str(task), str(answer)]
        variables = {**os.environ, "OMP_NUM_THREADS": str(settings.model.threads)}  # else torchrun says what it chose
        ended = subprocess.run(command, env=variables, check=False)
        error = answer.with_suffix(".error")
        if error.exists():
            raise UserError(error.read_text())
        if not answer.exists():  # written when all ranks were through; what one does as it ends changes nothing
            raise Interrupted(
                f"expected {settings.model.ranks} ranks to end well, found exit code {ended.returncode} of torchrun; "
                "see what it printed, or train with RECPIPE_MODEL__RANKS=1"
            )
        return _read(answer)


def main(task: Path, answer: Path) -> None:
    """One rank's part. The first writes the answer."""
    told = json.loads(task.read_text())
    _end_with(told["job"])
    rows = Rows(*map(date.fromisoformat, told["rows"]))
    chooses = told["chooses"] and Users(*map(date.fromisoformat, told["chooses"][:3]), told["chooses"][3])
    training = Training(rows, Path(told["unfinished"]), chooses, told["epochs"], told["start"])
    ranks = Ranks.here()
    try:
        found = training.run(Settings(**told["settings"]))
    except UserError as error:
        if ranks.rank == 0:
            answer.with_suffix(".error").write_text(str(error))
        sys.exit(2)
    if ranks.rank == 0:
        _write(found, answer)
    torch.distributed.barrier()  # no rank is torn down while another still needs it
    torch.distributed.destroy_process_group()


def _end_with(job: int) -> None:
    """End this process when the job's is gone: torchrun gives its processes sessions of their own, so that a signal to
    the job's group does not reach them."""

    def watch() -> None:
        while _is_alive(job):
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _write(found: Trained, file: Path) -> None:
    tensors = {f"model.{name}": tensor.cpu().contiguous() for name, tensor in found.model.state_dict().items()}
    told = {"config": asdict(found.model.config), "log": [asdict(epoch) for epoch in found.log]}
    told |= {"interactions": found.interactions, "epochs": found.epochs, "warm": found.warm}
    with whole(file) as staged:
        save_file(tensors | {"known": torch.from_numpy(found.known)}, staged, metadata={"told": json.dumps(told)})


def _read(file: Path) -> Trained:
    with safe_open(os.fspath(file), framework="pt") as saved:
        told: Mapping = json.loads(saved.metadata()["told"])
        tensors = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - it is no dict
    known = tensors.pop("known").numpy().astype(np.int32)
    model = TwoTower(TowerConfig.of_json(told["config"]))
    model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in tensors.items()})
    log = tuple(Epoch(**epoch) for epoch in told["log"])
    return Trained(model.eval(), known, told["interactions"], told["epochs"], log, told["warm"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
