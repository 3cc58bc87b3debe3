"""Nights whose trainings start from champions, on a shop of three anchor days in which items appear."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs import promote_model, train_two_tower
from recpipe import delta
from recpipe.errors import UserError
from recpipe.job import JobResult
from recpipe.model.anchors import Rows
from recpipe.model.candidates import read_inputs
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import read_catalogue
from recpipe.model.examples import arrow
from recpipe.model.launch import Training, trained
from recpipe.model.registry import CANDIDATE, CHAMPION, Registry
from recpipe.settings import Settings
from recpipe.tables import MODEL_VERDICTS, TABLES
from tests.model.conftest import Shop, day, planted_chains, small

ANCHORS = (15, 22, 29)


def at(home: Path, **model: object) -> Settings:
    return small(home, **{"epochs": 6, "warm_start": True, **model})


def night(settings: Settings, number: int) -> tuple[JobResult, JobResult]:
    return train_two_tower.main(day(number), settings), promote_model.main(day(number), settings)


def tables(settings: Settings) -> list[list[tuple]]:
    with delta.connect(settings.lake, TABLES) as lake:
        return [lake.execute(f"select * from {name} order by all").fetchall() for name in ("model_verdicts", "metrics")]


def version(settings: Settings, anchor: int) -> str:
    return next(row[3] for row in tables(settings)[0] if row[0] == day(anchor))


def model_of(settings: Settings, stage: str, anchor: int) -> Checkpoint:
    return Registry(settings.registry).find(stage, day(anchor), read_inputs(settings, day(anchor)).hash)


@pytest.fixture(scope="module")
def undecided(tmp_path_factory) -> Path:
    """Items 54 to 59 appear on day 16, the last of their groups."""
    home = tmp_path_factory.mktemp("undecided") / "home"
    shop = Shop(home / "lake")
    shop.number_items(60)
    walks = planted_chains(users=400, items=60, days=30)
    walks = [one for one in walks if one.item % 10 < 9 or one.day >= 16]
    before = None
    for anchor, cut in zip(ANCHORS, (11, 18, 25), strict=True):
        shop.anchor([one for one in walks if one.day <= anchor], anchor, cut=cut, before=before)
        shop.content({item: 1 + item // 10 for item in range(60)}, anchor)
        before = anchor
    return home


@pytest.fixture(scope="module")
def forward(undecided, tmp_path_factory) -> Path:
    """Decided night after night."""
    home = shutil.copytree(undecided, tmp_path_factory.mktemp("forward") / "home")
    for number in ANCHORS:
        night(at(home), number)
    assert [row[1] for row in tables(at(home))[0]] == ["promoted"] * 3, tables(at(home))[0]
    return home


@pytest.fixture
def decided(forward, tmp_path) -> Settings:
    return at(shutil.copytree(forward, tmp_path / "home"))


def test_a_training_starts_from_the_champion_of_the_last_day_of_its_rows(forward):
    settings = at(forward)
    first, second, third = (model_of(settings, CANDIDATE, anchor).training for anchor in ANCHORS)
    assert not {"started_from", "epochs_chosen_from"} & set(first)
    assert second["started_from"] == version(settings, 15)
    assert "epochs_chosen_from" not in second  # up to day 11 there was no champion
    assert (third["started_from"], third["epochs_chosen_from"]) == (version(settings, 22), version(settings, 15))
    assert model_of(settings, CHAMPION, 29).training["started_from"] == version(settings, 22)
    assert len(model_of(settings, CANDIDATE, 22).known) < len(model_of(settings, CANDIDATE, 29).known)


def test_one_loop_over_anchors_makes_the_models_and_verdicts_of_night_after_night(undecided, forward, tmp_path):
    settings = at(shutil.copytree(undecided, tmp_path / "home"))
    training, decision = night(settings, 29)
    assert training.message.startswith(f"trained {day(15)}-")
    assert training.message.count("trained") == 1
    assert training.message.endswith(", started from nothing (to choose the epochs, from nothing)")
    assert f"started from {version(settings, 22)} (to choose the epochs, from {version(settings, 15)})" in (
        decision.message
    )
    found, wanted = tables(settings), tables(at(forward))
    assert len(found[0]) == 3
    assert found == wanted


def test_without_a_warm_start_all_are_trained_first_and_cold(undecided, tmp_path):
    settings = at(shutil.copytree(undecided, tmp_path / "home"), warm_start=False, epochs=1)
    message = train_two_tower.main(day(29), settings).message
    assert message.count("trained 2024-") == 3
    assert "started" not in message
    third = model_of(settings, CANDIDATE, 29).training
    assert set(third) == {"rows", "interactions", "epochs", "seed"}


def decide_again(settings: Settings, anchor: int, effective_from: int, model_version: str) -> None:
    """A decision by hand about an anchor, beside the one that stands."""
    with delta.connect(settings.lake, [MODEL_VERDICTS]) as lake:
        standing = arrow(lake, "select * from model_verdicts where ds = ?", day(anchor)).to_pylist()
    again = standing[0] | {"effective_from": day(effective_from), "sequence": 1, "model_version": model_version}
    delta.overwrite_partition(settings.lake, MODEL_VERDICTS, [*standing, again], day(anchor))


def forget_decision(settings: Settings, anchor: int) -> None:
    delta.overwrite_partition(settings.lake, MODEL_VERDICTS, [], day(anchor))


def test_a_candidate_meets_the_model_that_people_put_back(decided):
    met = "select model_version from metrics where ds = ? and model = 'champion' and metric = 'ndcg_at_10' limit 1"
    second, first = version(decided, 22), version(decided, 15)
    assert delta.connect(decided.lake).execute(met, [day(29)]).fetchall() == [(second,)]
    forget_decision(decided, 29)
    decide_again(decided, 15, 26, first)
    promote_model.main(day(29), decided)
    assert delta.connect(decided.lake).execute(met, [day(29)]).fetchall() == [(first,)]


def test_a_promoted_model_that_people_overruled_for_its_day_is_said_not_to_serve(decided):
    forget_decision(decided, 29)
    decide_again(decided, 15, 29, version(decided, 15))
    message = promote_model.main(day(29), decided).message
    assert f"but people decided for that day too, after which {version(decided, 15)} serves" in message


def test_a_model_that_knew_more_than_the_rows_is_no_start(decided, capsys):
    knew_more = version(decided, 22)
    forget_decision(decided, 29)
    decide_again(decided, 15, 17, knew_more)
    message = train_two_tower.main(day(29), decided).message
    assert f"{knew_more} knew {day(22)}, so the training up to {day(18)} starts cold" in capsys.readouterr().out
    assert message.endswith(f"started from {knew_more} (to choose the epochs, from nothing)")


def test_an_older_model_that_was_put_back_is_the_start_from_its_day_on(decided):
    older, newer = version(decided, 15), version(decided, 22)
    before = read_inputs(decided, day(29))
    decide_again(decided, 15, 22, older)
    after = read_inputs(decided, day(29))
    assert (before.starts.candidate, after.starts.candidate) == (newer, older)
    assert before.hash != after.hash


def test_an_anchor_starts_alike_when_it_is_decided_again(decided):
    wanted = tables(decided)
    for anchor in ANCHORS[1:]:
        forget_decision(decided, anchor)
    night(decided, 29)
    assert tables(decided) == wanted


def test_a_start_of_another_lake_is_refused(decided):
    forget_decision(decided, 29)
    Shop(decided.lake).number_items(61)
    with pytest.raises(UserError, match="the model belongs to another lake"):
        train_two_tower.main(day(29), decided)


def test_ranks_start_from_the_champion_too(decided):
    """With a learning rate of next to nothing they end where they start."""
    start = model_of(decided, CHAMPION, 29)
    settings = at(decided.home, ranks=2, learning_rate=1e-9, weight_decay=0, epochs=1)
    rows = Rows(day(29), day(29))
    training = Training(rows, decided.home / "state" / "model.safetensors", epochs=1, start=start.model_version)
    model = settings.model
    found = trained(settings, training, read_catalogue(settings, rows.ds, model.item_inputs, model.image_size))
    assert found.warm
    np.testing.assert_array_equal(found.known, start.known)
    learned = start.model.state_dict()
    for name, value in found.model.state_dict().items():
        np.testing.assert_allclose(value, learned[name], atol=1e-5, err_msg=name)
