"""Two processes that torchrun starts train one model, on a CPU by gloo."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from jobs import train_two_tower
from recpipe.errors import Interrupted, UserError
from recpipe.model import launch
from recpipe.model.anchors import Rows
from recpipe.model.candidates import read_inputs
from recpipe.model.launch import Training, trained
from recpipe.model.ranks import Ranks
from recpipe.model.registry import CANDIDATE, Registry
from recpipe.model.training import train, vectors
from tests.model.conftest import HISTORY_LENGTH, day, planted_chains
from tests.model.small_models import nothing_known
from tests.model.test_training import ITEMS, sequences_of, small, walks

ROWS, BATCH = 97, 32  # the last batch is one row: the second rank has no part of it


def one_rank(folder: Path) -> None:
    """What a rank does and ends with; run by torchrun."""
    steps, step = [], torch.optim.AdamW.step
    torch.optim.AdamW.step = lambda *arguments: steps.append(1) or step(*arguments)
    found = train(lambda: walks(ROWS), ITEMS, small(batch_size=BATCH, epochs=3, dropout=0.3), 3, epochs=3)
    state = {name: value.tolist() for name, value in found.model.state_dict().items()}
    told = {"steps": len(steps), "losses": [epoch.loss for epoch in found.log], "state": state}
    (folder / f"{torch.distributed.get_rank()}.json").write_text(json.dumps(told))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_ranks_take_as_many_steps_and_end_with_one_model(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*command, "-m", "tests.model.test_ranks", str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert len(list(tmp_path.iterdir())) == 2, ended.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["steps"] == second["steps"] == 3 * 4
    assert first == second
    assert ended.stdout.count("epoch 3 of 3") == 1  # told once


def candidate(root: Path, make_settings, ranks: int):
    settings = make_settings(
        ranks=ranks, epochs=4, dropout=0, edge_dropout=0, batch_size=32, precision="float32", item_inputs=("id",)
    ).model_copy(update={"home": root})
    train_two_tower.main(day(29), settings)
    return Registry(settings.registry).find(CANDIDATE, day(29), read_inputs(settings, day(29)).hash)


def test_two_ranks_train_the_model_of_one(tmp_path, shop, settings):
    shop.number_items(60)
    shop.anchor(planted_chains(users=150, items=60, days=30), anchor=29, cut=22)
    home = tmp_path / "home"
    alone, together = (candidate(home, settings, ranks) for ranks in (1, 2))
    assert alone.training == together.training
    np.testing.assert_array_equal(alone.known, together.known)
    draw = np.random.default_rng(1)
    items = draw.choice(alone.known, size=(50, HISTORY_LENGTH))
    histories = sequences_of(items, np.sort(draw.integers(19_700, 19_760, size=items.shape)))
    scores = []
    for one in (alone, together):  # not the weights: a key's bias changes no score and drifts
        users, its = vectors(one.model, one.known, histories, nothing_known(one.known))
        scores.append(users @ its.T)
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-2)
    assert not (home / "registry" / "unfinished").exists()


def anything(settings, home: Path):
    """A training by two ranks with the lake of ``home``."""
    training = Training(Rows(day(29), day(29)), home / "state" / "model.safetensors", epochs=1)
    return trained(settings(ranks=2).model_copy(update={"home": home}), training, nothing_known(range(60)))


def test_ranks_wait_for_a_long_validation_of_the_first_one(monkeypatch):
    told = {}
    monkeypatch.setattr(dist, "init_process_group", lambda _, **given: told.update(given))
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    Ranks.here()
    assert told["timeout"] >= timedelta(hours=12)


def test_f11_a_rank_that_aborts_as_it_ends_changes_nothing(settings, tmp_path, monkeypatch):
    """gloo's threads were seen to abort a process that was through."""
    found = train(lambda: walks(ROWS), ITEMS, small(epochs=1), 3)

    def aborted(command, **_):
        launch._write(found, Path(command[-1]))
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(launch.subprocess, "run", aborted)
    training = Training(Rows(day(29), day(25)), tmp_path / "model.safetensors", epochs=1)
    assert trained(settings(ranks=2), training, ITEMS).interactions == found.interactions


def test_a_mistake_that_the_ranks_find_is_told_as_by_one(settings, tmp_path):
    with pytest.raises(UserError, match=r"expected table training_examples at .*, found none; run `recpipe init`"):
        anything(settings, tmp_path)
    assert list((tmp_path / "state").iterdir()) == []


def test_ranks_end_with_the_job_that_started_them(shop, settings, tmp_path, monkeypatch):
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=22)
    monkeypatch.setattr(launch.os, "getpid", lambda: 2**30)  # above every process number
    with pytest.raises(Interrupted, match="expected 2 ranks to end well, found exit code 1 of torchrun"):
        anything(settings, tmp_path / "home")


if __name__ == "__main__":
    one_rank(Path(sys.argv[1]))
