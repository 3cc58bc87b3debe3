import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from recpipe.errors import Interrupted, UserError
from recpipe.locks import file_lock
from recpipe.model.checkpoint import STAGED, Checkpoint
from recpipe.model.judgement import Figure, Judgement
from recpipe.model.registry import CANDIDATE, CHAMPION, NAME, Registry
from recpipe.model.training import Epoch
from recpipe.settings import CHECKOUT
from tests.model.test_checkpoint import checkpoint

ANCHOR = date(2024, 1, 10)
LOG = (Epoch(1, 2.0, 100.0, 0.1), Epoch(2, 1.0, 100.0, 0.2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One registry for the module: MLflow takes seconds to make its tables. Each test has an `inputs` of its own."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def registry(folder):
    return Registry(folder)


def test_a_first_run_waits_for_another_and_mends_what_a_killed_one_left(tmp_path):
    (tmp_path / "mlflow.new").write_bytes(b"half a database")
    with ThreadPoolExecutor() as beside:
        with file_lock(tmp_path / ".lock"):
            made = beside.submit(Registry, tmp_path)
            with pytest.raises(TimeoutError):
                made.result(timeout=0.5)
            assert (tmp_path / "mlflow.new").read_bytes() == b"half a database"
        assert made.result().find(CANDIDATE, ANCHOR, "none") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "mlflow.db"]


def keep(registry: Registry, stage: str, inputs: str, seed: int) -> Checkpoint:
    kept = checkpoint(seed=seed)
    with registry.attempt(stage, ANCHOR, inputs, {"epochs": 2}) as attempt:
        attempt.keep(kept, LOG)
    return kept


def test_e07_what_a_killed_training_left_is_gone_with_the_next_one(registry, folder):
    left = folder / "artifacts" / "0" / "artifacts" / f"{STAGED}abc"
    left.mkdir(parents=True)
    keep(registry, CANDIDATE, "after a kill", seed=12)
    assert not left.exists()


@pytest.mark.parametrize("category", ["Home/Kitchen/", "Home//Kitchen", "https://schema.org/Thing", "..", "é" * 300])
def test_figures_of_a_category_of_any_name_are_kept(registry, category):
    kept = keep(registry, CANDIDATE, f"judged {category}", seed=31)
    figures = Judgement((Figure("two_tower", f"category: {category}", "recall_at_10", 0.5, 10),), ()).named()
    registry.tell(kept.model_version, "rejected", "why", figures)
    [run] = registry.client.search_runs([registry.experiment_id], f"tags.inputs = 'judged {category}'")
    assert [value for name, value in run.data.metrics.items() if name.startswith("judged/two_tower/")] == [0.5]


def test_figures_of_categories_that_mlflow_cannot_tell_apart_by_name_have_names_of_their_own():
    path = "Home > " * 20
    categories = (f"{path}Awls", f"{path}Books", "Home/Kitchen", "Home>Kitchen", "Home Kitchen", "Home")
    figures = [Figure("two_tower", f"category {one}", "recall_at_10", 0.5, 10) for one in categories]
    named = Judgement(tuple(figures), ()).named()
    assert len(named) == len(categories)
    assert {"two_tower/category Home Kitchen/recall_at_10", "two_tower/category Home/recall_at_10"} < set(named)
    assert max(map(len, named)) < 200


def test_a_model_is_found_by_stage_anchor_and_inputs(registry, folder):
    kept = keep(registry, CANDIDATE, "found", seed=11)
    assert Registry(folder).find(CANDIDATE, ANCHOR, "found").model_version == kept.model_version
    assert registry.find(CANDIDATE, ANCHOR, "other inputs") is None
    assert registry.find(CHAMPION, ANCHOR, "found") is None
    assert registry.find(CANDIDATE, date(2024, 1, 11), "found") is None


def test_mlflow_lists_the_files_and_figures_of_a_run(registry):
    keep(registry, CANDIDATE, "listed", seed=12)
    [run] = registry.client.search_runs([registry.experiment_id], "tags.inputs = 'listed'")
    listed = {file.path for file in registry.client.list_artifacts(run.info.run_id, "checkpoint")}
    assert listed == {"checkpoint/checkpoint.json", "checkpoint/weights.safetensors"}
    assert [point.value for point in registry.client.get_metric_history(run.info.run_id, "ndcg_at_10")] == [0.1, 0.2]
    assert (run.data.params, run.info.status) == ({"epochs": "2"}, "FINISHED")


def test_the_curves_of_a_long_training_begin_with_its_first_epoch(registry):
    kept, log = checkpoint(seed=18), [Epoch(number, 2.0, 100.0, 0.1) for number in range(1, 401)]
    with registry.attempt(CANDIDATE, ANCHOR, "long", {}) as attempt:
        attempt.keep(kept, log)
    curves = registry.curves(kept.model_version)
    assert [epoch for epoch, _ in curves["loss"]] == list(range(1, 401))
    assert len(curves["ndcg_at_10"]) == 400


def test_a_broken_attempt_is_counted_and_never_found(registry):
    for _ in range(2):
        with pytest.raises(UserError), registry.attempt(CANDIDATE, ANCHOR, "broken", {}):
            raise UserError("expected a finite loss")
    assert registry.broken_attempts(CANDIDATE, ANCHOR, "broken") == 2
    assert registry.broken_attempts(CHAMPION, ANCHOR, "broken") == 0
    assert registry.find(CANDIDATE, ANCHOR, "broken") is None
    keep(registry, CANDIDATE, "broken", seed=13)
    assert registry.broken_attempts(CANDIDATE, ANCHOR, "broken") == 2


KILLED = """
import os, sys
from datetime import date
from pathlib import Path
from recpipe.model.registry import CANDIDATE, Registry
with Registry(Path(sys.argv[1])).attempt(CANDIDATE, date.fromisoformat(sys.argv[2]), "killed", {}) as attempt:
    attempt.unfinished.mkdir(parents=True, exist_ok=True)
    if sys.argv[3]:
        (attempt.unfinished / "choice.safetensors").write_text(sys.argv[3])
    os._exit(137)
"""


def test_a_kill_counts_unless_the_training_got_further_since_the_one_before(registry, folder):
    counted = []
    for saved in ("", "", "one epoch", "two whole epochs", ""):
        subprocess.run([sys.executable, "-c", KILLED, folder, str(ANCHOR), saved], cwd=CHECKOUT, check=False)
        counted.append(registry.broken_attempts(CANDIDATE, ANCHOR, "killed"))
    assert counted == [1, 2, 2, 2, 3]


def test_a_training_that_was_interrupted_counts_as_one_that_was_killed(registry):
    for ended, saved in ((KeyboardInterrupt, "one epoch"), (Interrupted, "two whole epochs"), (Interrupted, "")):
        with pytest.raises(ended), registry.attempt(CANDIDATE, ANCHOR, "interrupted", {}) as attempt:
            attempt.unfinished.mkdir(parents=True, exist_ok=True)
            if saved:
                (attempt.unfinished / "choice.safetensors").write_text(saved)
            raise ended("ended from outside")
    assert registry.broken_attempts(CANDIDATE, ANCHOR, "interrupted") == 1


@pytest.mark.parametrize(("error", "is_there"), [(Interrupted, True), (UserError, False)])
def test_the_state_of_a_training_stays_unless_it_can_only_fail_again(registry, folder, error, is_there):
    with pytest.raises(error), registry.attempt(CANDIDATE, ANCHOR, f"ended by {error.__name__}", {}) as attempt:
        attempt.unfinished.mkdir(parents=True)
        raise error("expected 2 ranks to end well")
    assert attempt.unfinished.exists() == is_there


def test_a_champion_is_loaded_by_its_version_and_shown(registry):
    first, second = keep(registry, CHAMPION, "first", seed=14), keep(registry, CHAMPION, "second", seed=15)
    for one in (first, second, second):
        registry.show_champion(one.model_version, {"ndcg_at_10": 0.3})
    assert registry.load(first.model_version).model_version == first.model_version
    shown = registry.client.get_model_version_by_alias(NAME, CHAMPION)
    assert registry.client.get_run(shown.run_id).data.tags["model_version"] == second.model_version
    assert len(registry.client.search_model_versions(f"name = '{NAME}'")) == 2


def test_an_unknown_version_is_refused(registry):
    with pytest.raises(UserError, match=r"expected model 2024-01-10-000000000000 in .*, found none"):
        registry.load("2024-01-10-000000000000")


def test_a_model_in_the_place_of_another_is_refused(registry):
    kept = keep(registry, CHAMPION, "swapped", seed=16)
    [run] = registry.client.search_runs([registry.experiment_id], "tags.inputs = 'swapped'")
    registry.client.set_tag(run.info.run_id, "model_version", "2024-01-10-aaaaaaaaaaaa")
    with pytest.raises(UserError, match=f"found {kept.model_version} in its place"):
        registry.load("2024-01-10-aaaaaaaaaaaa")


def test_a_moved_registry_still_finds_its_models(registry, folder):
    kept = keep(registry, CHAMPION, "moved", seed=17)
    moved = folder.rename(folder.with_name("elsewhere"))
    try:
        assert Registry(moved).load(kept.model_version).model_version == kept.model_version
    finally:
        moved.rename(folder)
