"""Runs of benchmarks that are kept, so that one that was stopped goes on."""

import numpy as np

from recpipe.model_settings import ModelSettings
from tests.benchmarks import kept, quality


def test_a_run_of_another_split_is_another_run(tmp_path, monkeypatch):
    assert (kept.HERE / "public_data.py").exists()
    monkeypatch.setattr(kept, "HERE", tmp_path)
    names = []
    for split in ("leave one out", "leave two out", "leave one out"):
        (tmp_path / "public_data.py").write_text(split)
        names.append(kept.name_of_run(ModelSettings()))
    assert names[0] == names[2] != names[1]


def test_a_kept_run_whose_vectors_are_gone_runs_again(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(quality, "run", lambda *_: (runs.append(1) or {"epochs": len(runs)}, {"users": np.zeros(1)}))
    told = []
    for _ in range(2):
        told += [quality.kept_run(tmp_path, "beauty", "full", 0) for _ in range(2)]
        told[-1][1].unlink()
    assert [found["epochs"] for found, _ in told] == [1, 1, 2, 2]
