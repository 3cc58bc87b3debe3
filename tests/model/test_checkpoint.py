import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from recpipe.errors import UserError
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.towers import TwoTower
from tests.model.small_models import INPUTS, config, inputs


def checkpoint(seed: int = 1, **changes: object) -> Checkpoint:
    torch.manual_seed(seed)
    fields = {
        "anchor": date(2024, 1, 10),
        "until": date(2024, 1, 8),
        "known_on": date(2024, 1, 9),
        "model": TwoTower(config(3, inputs=INPUTS, edges=2)).eval(),
        "known": np.array([2, 5, 9], dtype=np.int32),
        "item_numbering": "a" * 64,
        "training": {"rows": 4, "interactions": 9, "epochs": 2, "seed": 1},
        "table_versions": {"training_examples": 3},
    }
    return Checkpoint(**(fields | changes))


def test_a_model_comes_back_as_it_was(tmp_path: Path):
    saved = checkpoint()
    saved.save(tmp_path / "deep" / "one")
    loaded = Checkpoint.load(tmp_path / "deep" / "one")
    user = [torch.tensor([values]) for values in ([3, 0, 2], [0, 5, 6], [0, 4, 4], [1, 0, 2])]
    of_both = [one.model.user_vectors(one.model.catalogue(inputs(3)), *user) for one in (loaded, saved)]
    assert torch.equal(*of_both)
    assert loaded.model.config == saved.model.config
    assert loaded.known.tolist() == [2, 5, 9]
    assert loaded.model_version == saved.model_version
    assert (loaded.until, loaded.known_on) == (saved.until, saved.known_on)
    assert (loaded.training, loaded.table_versions) == (saved.training, saved.table_versions)


def test_the_version_names_the_content_and_not_where_it_came_from():
    version = checkpoint().model_version
    assert version.startswith("2024-01-10-")
    assert len(version) == len("2024-01-10-") + 12
    assert checkpoint(table_versions={"training_examples": 99}).model_version == version
    others = [
        checkpoint(seed=2),
        checkpoint(known=np.array([2, 5, 8], dtype=np.int32)),
        checkpoint(item_numbering="b" * 64),
        checkpoint(until=date(2024, 1, 9)),
        checkpoint(known_on=date(2024, 1, 10)),
    ]
    assert len({version, *(other.model_version for other in others)}) == 6


def test_d05_a_model_that_is_not_finite_leaves_nothing(tmp_path: Path):
    broken = checkpoint()
    with torch.no_grad():
        broken.model.item_bias[0] = torch.nan
    with pytest.raises(UserError, match="finite weights, found NaN or infinity in item_bias"):
        broken.save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint().save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_changed_weights_are_refused(tmp_path: Path):
    checkpoint().save(tmp_path / "one")
    weights = tmp_path / "one" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(UserError, match="expected weights with SHA-256"):
        Checkpoint.load(tmp_path / "one")


@pytest.mark.parametrize("text", ["", '{"anchor": ', "null", "{}"])
def test_a_broken_explanation_is_one_line(tmp_path: Path, text):
    checkpoint().save(tmp_path / "one")
    (tmp_path / "one" / "checkpoint.json").write_text(text)
    with pytest.raises(UserError, match=r"expected checkpoint.json of a model at .*one, found it broken; restore it"):
        Checkpoint.load(tmp_path / "one")


def load_changed(folder: Path, **changes: object) -> Checkpoint:
    """A model whose explanation was changed since it was saved."""
    checkpoint().save(folder)
    file = folder / "checkpoint.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return Checkpoint.load(folder)


def test_a_changed_explanation_is_refused(tmp_path: Path):
    changes = {"training": {"epochs": 7}}, {"until": "2024-01-31"}, {"model_version": "2024-01-01-0123456789ab"}
    for number, changed in enumerate(changes):
        with pytest.raises(UserError, match=r"found its checkpoint.json changed since; restore the registry"):
            load_changed(tmp_path / str(number), **changed)


def test_a_missing_model_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"expected a model at .*nowhere, found no checkpoint.json"):
        Checkpoint.load(tmp_path / "nowhere")


def test_a_model_of_another_version_is_refused(tmp_path: Path):
    config = asdict(checkpoint().model.config)
    strange = {"items": 3, "blocks": 1}, config | {"towers": 3}, config | {"event_types": True}
    for number, other in enumerate(strange):
        with pytest.raises(
            UserError, match=r"expected a model of this version of recpipe at .*one\d, found one of another"
        ):
            load_changed(tmp_path / f"one{number}", config=other)


def test_d03_other_item_numbers_are_refused():
    with pytest.raises(UserError, match="expected the item numbers of 2024-01-09"):
        checkpoint().require_numbering("b" * 64)
    checkpoint().require_numbering("a" * 64)


def test_the_explanation_is_readable(tmp_path: Path):
    checkpoint().save(tmp_path / "one")
    explanation = json.loads((tmp_path / "one" / "checkpoint.json").read_text())
    assert explanation["config"]["item"]["items"] == 3
    assert explanation["training"]["epochs"] == 2
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"checkpoint.json", "weights.safetensors"}
