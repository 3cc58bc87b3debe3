"""A training that was killed (-9) goes on and ends with the bits of one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recpipe.model import training
from recpipe.model.training import Trained, train
from tests.model.test_training import ITEMS, small, walks

WAYS = {
    "attention and graph": {},
    "streaming shares": {"loss": "sampled_softmax", "negatives": 30, "logq": "streaming", "graph": False},
    "gru": {"user_tower": "gru"},
}
EPOCHS = 6


@pytest.fixture(autouse=True)
def saved_after_every_epoch(monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)


def run(way: str, unfinished: Path | None, dies_in: int | None = None) -> Trained:
    """One training; it kills itself when it reads the rows of the epoch ``dies_in``."""
    sequences, read = walks(120), []

    def rows():
        read.append(1)
        if dies_in is not None and len(read) == dies_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return sequences

    return train(rows, ITEMS, small(**WAYS[way]), 3, epochs=EPOCHS, unfinished=unfinished)


def bits(trained: Trained) -> list[bytes]:
    return [value.numpy().tobytes() for value in trained.model.state_dict().values()]


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_training_goes_on_to_the_same_bits(way, tmp_path, capsys):
    file = tmp_path / "state" / "model.safetensors"
    code = (
        "import sys, pathlib; from tests.model.test_progress import run, training; "
        "training.SAVE_EVERY_SECONDS = 0.0; "
        "run(sys.argv[1], pathlib.Path(sys.argv[2]), dies_in=4)"
    )
    killed = subprocess.run([sys.executable, "-c", code, way, str(file)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in file.parent.iterdir()] == ["model.safetensors"]
    ended, undisturbed = run(way, file), run(way, None)
    assert "going on after epoch 3" in capsys.readouterr().out
    assert bits(ended) == bits(undisturbed)
    assert [epoch.loss for epoch in ended.log] == [epoch.loss for epoch in undisturbed.log]


def test_what_was_best_before_the_kill_is_kept_and_patience_counts_on(tmp_path):
    file, values, sequences = tmp_path / "state.safetensors", [0.1, 0.3, 0.2, 0.25, 0.28, 0.4], walks(120)

    def one(unfinished, figures):
        given = iter(figures)
        settings = small(epochs=6, patience=3)
        return train(
            lambda: sequences, ITEMS, settings, 3, validate=lambda _: lambda model: next(given), unfinished=unfinished
        )

    with pytest.raises(StopIteration):
        one(file, values[:3])
    ended, undisturbed = one(file, values[3:]), one(None, values)
    assert ended.epochs == undisturbed.epochs == 2
    assert len(ended.log) == len(undisturbed.log) == 5
    assert bits(ended) == bits(undisturbed)


def test_a_state_that_cannot_be_read_is_told_and_the_training_starts_anew(tmp_path, capsys):
    file = tmp_path / "state.safetensors"
    file.write_bytes(b"torn")
    assert bits(run("gru", file)) == bits(run("gru", None))
    assert "could not be read, so it starts anew" in capsys.readouterr().out


def test_a_state_of_another_model_is_told_and_changes_nothing(tmp_path, capsys):
    file = tmp_path / "state.safetensors"
    run("attention and graph", file)
    assert bits(run("gru", file)) == bits(run("gru", None))
    assert "could not be read, so it starts anew" in capsys.readouterr().out
