"""Models and their figures in MLflow: an SQLite file and a folder, no server.

MLflow shows and finds; which model is used is decided in table `model_verdicts`.
"""

import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException

from recpipe.errors import Interrupted, UserError
from recpipe.locks import file_lock
from recpipe.model.checkpoint import STAGED, Checkpoint
from recpipe.model.progress import Epoch
from recpipe.settings import code_hash

NAME = "two_tower"
CANDIDATE, CHAMPION = "candidate", "champion"
FOUND = "found"
"""Tag of a training: which state of an earlier one it goes on from."""

MOST_METRICS = 1000
"""That MLflow takes at once."""


@dataclass(frozen=True)
class Attempt:
    """One training that is going on."""

    client: MlflowClient
    run_id: str
    folder: Path
    unfinished: Path  # folder for states of its trainings, which the next attempt at the same finds if this is killed

    def keep(self, checkpoint: Checkpoint, log: Sequence[Epoch]) -> None:
        """Store the model as the run's artifact, with the figures of its epochs."""
        now = int(time.time() * 1000)
        figures = [
            Metric(name, value, now, epoch.number)
            for epoch in log
            for name, value in (("loss", epoch.loss), ("ndcg_at_10", epoch.ndcg), ("rows_s", epoch.rows_per_second))
            if not math.isnan(value)
        ]
        _send(self.client, self.run_id, figures)
        checkpoint.save(self.folder)
        self.client.set_tag(self.run_id, "model_version", checkpoint.model_version)


class Registry:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for noisy in ("mlflow.store.db.utils", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self.folder = folder
        database = folder.absolute() / "mlflow.db"
        if not database.exists():
            with file_lock(self.folder / ".lock"):  # two first runs at once would both make MLflow's tables
                self._create(database)
        self.client = MlflowClient(f"sqlite:///{database}")
        self.experiment_id = self.client.get_experiment_by_name(NAME).experiment_id

    def _create(self, database: Path) -> None:
        """Make the database, which appears whole or not at all: MLflow never mends one that was killed half-way."""
        if database.exists():  # another run was first
            return
        staged = database.with_suffix(".new")
        staged.unlink(missing_ok=True)
        location = (database.parent / "artifacts").as_uri()
        MlflowClient(f"sqlite:///{staged}").create_experiment(NAME, artifact_location=location)
        staged.rename(database)

    def find(self, stage: str, anchor: date, inputs: str) -> Checkpoint | None:
        """The anchor's finished model of this stage that came from these inputs."""
        runs = self._runs(f"tags.stage = '{stage}' and tags.anchor = '{anchor}' and tags.inputs = '{inputs}'")
        return Checkpoint.load(self._checkpoint(runs[0].info.run_id)) if runs else None

    def load(self, model_version: str) -> Checkpoint:
        """Raises:
        UserError: there is no such model, or it is not what its version says.
        """
        runs = self._runs(f"tags.model_version = '{model_version}'")
        if not runs:
            raise UserError(f"expected model {model_version} in {self.folder}, found none; restore the registry")
        checkpoint = Checkpoint.load(self._checkpoint(runs[0].info.run_id))
        if checkpoint.model_version != model_version:
            raise UserError(
                f"expected model {model_version}, found {checkpoint.model_version} in its place; restore the registry"
            )
        return checkpoint

    def curves(self, model_version: str) -> dict[str, list[tuple[float, float]]]:
        """Figures of the epochs that led to a model, by name (epoch, value); none where the registry knows it not."""
        runs = self._runs(f"tags.model_version = '{model_version}'")
        if not runs:
            return {}
        run_id = runs[-1].info.run_id
        return {
            name: sorted((point.step, point.value) for point in self.client.get_metric_history(run_id, name))
            for name in ("loss", "ndcg_at_10")
        }

    def broken_attempts(self, stage: str, anchor: date, inputs: str) -> int:
        """Trainings that failed, or were killed and had not got further than the one before: others may end well."""
        wanted = f"tags.stage = '{stage}' and tags.anchor = '{anchor}' and tags.inputs = '{inputs}'"
        broken, after = 0, _state(self._unfinished(stage, anchor, inputs))
        for run in self._runs(wanted, status="!= 'FINISHED'"):
            broken += run.info.status == "FAILED" or run.data.tags.get(FOUND) == after
            after = run.data.tags.get(FOUND)
        return broken

    @contextmanager
    def attempt(self, stage: str, anchor: date, inputs: str, params: Mapping[str, object]) -> Iterator[Attempt]:
        """One training at a time, so that a half-kept model is one of a training that was killed."""
        with file_lock(self.folder / ".lock"):
            for left in self.folder.glob(f"artifacts/*/artifacts/{STAGED}*"):
                shutil.rmtree(left)
            mine = self._unfinished(stage, anchor, inputs)
            tags = {"stage": stage, "anchor": anchor.isoformat(), "inputs": inputs, FOUND: _state(mine)}
            run_id = self.client.create_run(self.experiment_id, tags=tags, run_name=f"{anchor} {stage}").info.run_id
            status = "KILLED"
            try:
                self.client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])
                with _gone_after(mine.parent):
                    yield Attempt(self.client, run_id, self._checkpoint(run_id), mine)
                status = "FINISHED"
            except Interrupted:
                raise
            except Exception:
                status = "FAILED"
                raise
            finally:
                self.client.set_terminated(run_id, status)

    def tell(self, model_version: str, verdict: str, reason: str, figures: Mapping[str, float]) -> None:
        """Keep what was decided about a candidate with its training, for people who look at MLflow's pages."""
        run_id = self._runs(f"tags.stage = '{CANDIDATE}' and tags.model_version = '{model_version}'")[0].info.run_id
        self.client.set_tag(run_id, "verdict", verdict)
        self.client.set_tag(run_id, "reason", reason)
        self._log(run_id, {f"judged/{name}": value for name, value in figures.items()})

    def show_champion(self, model_version: str, figures: Mapping[str, float]) -> None:
        """Register the model and give it the alias `champion`, for people who look at MLflow's pages."""
        run = self._runs(f"tags.stage = '{CHAMPION}' and tags.model_version = '{model_version}'")[0]
        self._log(run.info.run_id, figures)
        try:
            self.client.create_registered_model(NAME)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        registered = self.client.search_model_versions(f"name = '{NAME}' and run_id = '{run.info.run_id}'")
        if not registered:
            source = self._checkpoint(run.info.run_id).absolute().as_uri()
            registered = [self.client.create_model_version(NAME, source, run.info.run_id)]
        self.client.set_registered_model_alias(NAME, CHAMPION, registered[0].version)

    def _log(self, run_id: str, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        _send(self.client, run_id, [Metric(name, value, now, 0) for name, value in figures.items()])

    def _runs(self, tags: str, status: str = "= 'FINISHED'") -> list[Run]:
        """Runs, newest first."""
        wanted = f"{tags} and attributes.status {status}"
        return self.client.search_runs([self.experiment_id], wanted, order_by=["attributes.start_time DESC"])

    def _unfinished(self, stage: str, anchor: date, inputs: str) -> Path:
        return self.folder / "unfinished" / f"{stage}-{anchor}-{inputs}-{code_hash()}"

    def _checkpoint(self, run_id: str) -> Path:
        """Where MLflow keeps the run's artifact `checkpoint`, from this folder and not from the address that it
        recorded, so that a registry may be moved with its lake."""
        return self.folder / "artifacts" / run_id / "artifacts" / "checkpoint"


def _state(unfinished: Path) -> str:
    """How far a training got, as its states' sizes and times tell; another text whenever one was saved since."""
    saved = [(file.name, file.stat()) for file in sorted(unfinished.glob("*.safetensors"))]
    return " ".join(f"{name} {found.st_size} {found.st_mtime_ns}" for name, found in saved) or "nothing"


def _send(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    for first in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + MOST_METRICS])


@contextmanager
def _gone_after(folder: Path) -> Iterator[None]:
    """What was left there is of no use after a training, nor after one that can only fail again."""
    try:
        yield
    except Interrupted:
        raise
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
