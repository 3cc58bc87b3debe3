"""A training that starts from a champion, whose items, words and days were fewer."""

import copy
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recpipe.evaluation.metrics import Lists
from recpipe.model import training
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.contest import validator
from recpipe.model.examples import EvaluationUsers
from recpipe.model.item_tower import FUSIONS
from recpipe.model.items import Items
from recpipe.model.towers import TwoTower
from recpipe.model.training import Trained, Validate, train
from recpipe.model.warm_start import take_over
from tests.model.small_models import INPUTS, config, content, model
from tests.model.test_progress import bits
from tests.model.test_training import CONTENT, sequences_of, small, walks

THEN = np.array([2, 5, 9], dtype=np.int32)
NOW = np.array([1, 5, 7, 8, 9], dtype=np.int32)
NEW, NOTHING_KNOWN = [0, 2], 3  # places among NOW; `content` knows nothing of its last item
OF_NOW = content(5).take(np.array([0, 1, 2, 4, 3]))


def champion(two_tower: TwoTower, known: np.ndarray = THEN) -> Checkpoint:
    day = date(2024, 1, 10)
    return Checkpoint(day, day, day, two_tower, known, "a" * 64, {}, {})


def started(**changes: object) -> tuple[TwoTower, TwoTower, TwoTower]:
    """A champion's model, a new one before, and the new one that started from the other."""
    then, fresh = model(config(3, **changes), seed=1), model(config(5, **changes), seed=2)
    now = copy.deepcopy(fresh)
    take_over(now, NOW, OF_NOW, champion(then))
    return then, fresh, now


def test_items_keep_their_rows_by_number_wherever_they_stand():
    then, fresh, now = started(inputs=("id", "brand"))
    ids, before = now.item_tower.ids.weight, then.item_tower.ids.weight
    assert torch.equal(ids[[1, 4]], before[[1, 2]])
    assert torch.equal(now.item_bias[[1, 4]], then.item_bias[[1, 2]])
    assert not ids[[*NEW, 5]].any()  # and the row of padding
    assert torch.equal(ids[NOTHING_KNOWN], fresh.item_tower.ids.weight[NOTHING_KNOWN])
    assert (now.item_bias[[*NEW, NOTHING_KNOWN]] == then.item_bias.min()).all()  # of three: the lowest twentieth


def test_all_else_is_what_the_champion_learned_but_for_the_graph():
    then, fresh, now = started(inputs=INPUTS, event_types=True, edges=3)
    learned = then.state_dict()
    of_items = {"item_bias", "item_tower.ids.weight"}
    compared = [name for name in learned if name not in of_items and not name.startswith("graph.")]
    assert len(compared) > 30
    assert all(torch.equal(now.state_dict()[name], learned[name]) for name in compared)
    for name, buffer in now.graph.named_buffers():
        assert torch.equal(buffer, fresh.graph.get_buffer(name))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_new_item_starts_as_what_its_content_says(fusion):
    _, _, now = started(inputs=INPUTS, fusion=fusion)
    with_id, without = (Items.of(ids, OF_NOW) for ids in (np.arange(5), np.full(5, 5)))
    vectors, by_content = (F.normalize(now.item_tower(items), dim=-1) for items in (with_id, without))
    torch.testing.assert_close(vectors[NEW], by_content[NEW])
    assert not torch.allclose(vectors[1], by_content[1])


def test_words_that_were_numbered_since_keep_the_weights_they_were_born_with():
    then = model(config(3, inputs=INPUTS, words=6, brands=3), seed=1)
    fresh = model(config(5, inputs=INPUTS, words=9, brands=2), seed=2)  # a brand went with its last item
    now = copy.deepcopy(fresh)
    take_over(now, NOW, OF_NOW, champion(then))
    words, brands = (
        [two_tower.item_tower.encoders[name].get_submodule(path).weight for two_tower in (then, fresh, now)]
        for name, path in (("text", "encoder.embedding"), ("brand", "embedding"))
    )
    assert torch.equal(words[2][:7], words[0])
    assert torch.equal(words[2][7:], words[1][7:])
    assert torch.equal(brands[2], brands[0][:3])


def test_a_new_item_of_a_brand_that_nobody_had_is_trained_as_in_a_cold_start():
    then, fresh = (model(config(items, inputs=("id", "brand")), seed=items) for items in (3, 5))
    brand = OF_NOW.brand[NEW[1]]
    with torch.no_grad():
        then.item_tower.encoders["brand"].embedding.weight[brand] = 0  # as of all that no item of a training has
    now = copy.deepcopy(fresh)
    take_over(now, NOW, OF_NOW, champion(then))
    of_warm, of_cold = (
        torch.autograd.grad(
            F.normalize(one.item_tower(Items.of(np.arange(5), OF_NOW)), dim=-1)[NEW[1]].sum(),
            one.item_tower.encoders["brand"].embedding.weight,
        )[0][brand].norm()
        for one in (now, fresh)
    )
    assert 0 < of_warm < 10 * of_cold


@pytest.mark.parametrize("read", ["sentence", "image"])
def test_a_champion_that_saw_no_picture_leaves_it_to_the_new_model_to_learn_them_and_one_that_did_hands_them_on(read):
    then, fresh = (model(config(items, inputs=("id", read)), seed=items) for items in (3, 5))
    made_of = [one.item_tower.encoders[read].out.weight for one in (then, fresh)]
    learned, new = (weight.detach().clone() for weight in made_of)
    for start, expected in ((learned, learned), (torch.zeros_like(learned), new)):
        with torch.no_grad():
            made_of[0].copy_(start)
        now = copy.deepcopy(fresh)
        take_over(now, NOW, OF_NOW, champion(then))
        assert torch.equal(now.item_tower.encoders[read].out.weight, expected)


def trained(start: Trained | None, validate: Validate | None = None, file: Path | None = None, **changes) -> Trained:
    """Two epochs of walks through 20 items, or as many as ``changes`` say."""
    sequences, settings = walks(300), small(**{"epochs": 2, **changes})
    begun = start and champion(start.model, start.known)
    return train(lambda: sequences, CONTENT, settings, 3, validate=validate, start=begun, unfinished=file)


def of_fewer_items(**changes: object) -> Trained:
    """A model of walks through the first 16 items alone."""
    sequences = walks(300, seed=1)
    items = np.where(sequences.items >= 0, sequences.items % 16, -1)
    fewer = sequences_of(items, sequences.days)
    return train(lambda: fewer, CONTENT, small(epochs=2, **changes), 3)


@pytest.mark.parametrize("inputs", [("id",), ("id", "brand", "text")])
def test_the_ids_of_new_items_are_learned(inputs):
    then = of_fewer_items(item_inputs=inputs)
    found = trained(then, item_inputs=inputs)
    assert (len(then.known), len(found.known)) == (16, 20)
    assert found.warm
    ids = found.model.item_tower.ids.weight
    assert (ids[16:20].norm(dim=1) > 0.05).all()
    assert all(torch.isfinite(value).all() for value in found.model.state_dict().values())


OTHERS = {
    "item.size 16 instead of 8, user.size 16 instead of 8": {"embedding_size": 16},
    "user.kind mlp instead of gru": {"user_tower": "mlp"},
    "item.inputs ('brand', 'id') instead of ('id', 'brand')": {"item_inputs": ("brand", "id")},
    "graph True instead of False": {"graph": True},
}


@pytest.mark.parametrize("difference", OTHERS)
def test_a_champion_of_another_shape_is_told_and_the_training_starts_cold(difference, capsys):
    wanted = {"user_tower": "gru", "graph": False, "item_inputs": ("id", "brand"), "epochs": 1}
    then = trained(None, **{**wanted, **OTHERS[difference]})
    warm, cold = (trained(start, **wanted) for start in (then, None))
    assert not warm.warm
    assert bits(warm) == bits(cold)
    assert f" has {difference}, so the training starts cold" in capsys.readouterr().out


def test_how_a_champion_was_trained_makes_no_other_shape():
    then = trained(None, epochs=1, dropout=0.5, id_dropout=0.1, learning_rate=0.001)
    assert trained(then, epochs=1).warm


def test_the_same_start_gives_the_same_bits_and_another_others():
    then = of_fewer_items()
    once, again, cold = (bits(trained(start)) for start in (then, then, None))
    assert once == again != cold


def test_a_killed_warm_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)
    file, then = tmp_path / "state.safetensors", of_fewer_items()

    def one(unfinished, figures):
        given = iter(figures)
        return trained(then, lambda _: lambda model: next(given), unfinished, epochs=4)

    with pytest.raises(StopIteration):
        one(file, [0.1, 0.2])
    ended, undisturbed = one(file, [0.3, 0.4]), one(None, [0.1, 0.2, 0.3, 0.4])
    assert len(ended.log) == 4
    assert bits(ended) == bits(undisturbed)


def test_a_warm_training_ranks_as_well_as_a_cold_one_in_fewer_epochs():
    had = (np.arange(20)[:, None] + np.arange(3)) % 20  # three items of each walk, of which the next is wanted
    histories = sequences_of(had.astype(np.int32), np.tile(np.arange(3, dtype=np.int32), (20, 1)))
    users = EvaluationUsers(
        histories, Lists.of(had.tolist()), Lists.of((had[:, -1:] + 1).tolist()), strangers=Lists.of([])
    )
    inputs = ("id", "text")
    validate = validator(users, CONTENT, inputs)
    then = of_fewer_items(item_inputs=inputs)
    warm, cold = (
        [epoch.ndcg for epoch in trained(start, validate, item_inputs=inputs, epochs=8, patience=8).log]
        for start in (then, None)
    )
    reached = [ndcg >= max(cold) for ndcg in warm]
    assert reached.index(True) + 2 <= cold.index(max(cold))
