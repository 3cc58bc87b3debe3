import hashlib
import math
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from recpipe.errors import UserError
from recpipe.model import objective
from recpipe.model.assembly import new_model
from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.examples import Sequences
from recpipe.model.sentences import SENTENCE_SIZE
from recpipe.model.training import _precision, learning_rate, optimizer_of, train, vectors
from recpipe.model.user_towers import USER_TOWERS
from recpipe.model_settings import ModelSettings
from tests.model.small_models import config, content, model, nothing_known, of_strangers

ITEMS = nothing_known(range(20))
SMALL = {"threads": 1, "embedding_size": 8, "batch_size": 32, "learning_rate": 0.02, "warmup_steps": 5, "dropout": 0.2}


def walks(rows: int, seed: int = 0) -> Sequences:
    """Sequences in which item i is followed by item i + 1 of 20."""
    draw = np.random.default_rng(seed)
    items = (draw.integers(20, size=(rows, 1)) + np.arange(6)) % 20
    lengths = draw.integers(1, 7, size=(rows, 1))
    items = np.where(np.arange(6) >= 6 - lengths, items, -1).astype(np.int32)
    return sequences_of(items, np.where(items >= 0, 19_000 + np.arange(6), 0).astype(np.int32))


def sequences_of(items: np.ndarray, days: np.ndarray) -> Sequences:
    return of_strangers(items, days, np.where(items >= 0, 4, 0).astype(np.int32))


def small(**changes: object) -> ModelSettings:
    return ModelSettings(**{**SMALL, "epochs": 4, **changes})


def hash_of_a_run() -> str:
    sequences = walks(200)
    state = train(lambda: sequences, ITEMS, small(epochs=2, threads=2), seed=3).model.state_dict()
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values())).hexdigest()


def test_the_same_rows_give_the_same_bits_in_another_process():
    code = "from tests.model.test_training import hash_of_a_run as run; print(run())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here, again = hash_of_a_run(), hash_of_a_run()
    assert here == again == there.splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "length"),
    [({"loss": "sampled_softmax", "negatives": 512}, 51), ({"loss": "bpr", "negatives": 512}, 51), ({}, 201)],
)
def test_several_threads_give_the_same_bits_every_time(changes, length):
    """Tensors are as large as those of which PyTorch leaves a part to each thread."""
    items = np.random.default_rng(0).integers(300, size=(128, length)).astype(np.int32)
    sequences = sequences_of(items, np.full_like(items, 19_000))
    settings = small(epochs=1, threads=2, embedding_size=64, batch_size=128, **changes)
    hashes = set()
    for _ in range(4):
        state = train(lambda: sequences, nothing_known(range(300)), settings, seed=3).model.state_dict()
        hashes.add(hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values())).hexdigest())
    assert len(hashes) == 1


def test_every_step_is_taken_at_the_rate_of_the_schedule(monkeypatch):
    settings, rates, step = small(epochs=3), [], torch.optim.AdamW.step

    def spied(self, *arguments):
        rates.append({group["lr"] for group in self.param_groups})
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spied)
    train(lambda: walks(200), ITEMS, settings, seed=3)
    batches = math.ceil(200 / 32)
    assert rates == [{learning_rate(settings, batches, number)} for number in range(3 * batches)]
    assert len({rate for [rate] in rates}) > 2 * batches


def test_the_rows_of_an_epoch_are_gone_when_the_next_ones_are_read():
    alive = []

    def read():
        assert all(one() is None for one in alive)
        rows = walks(100)
        alive.append(weakref.ref(rows.items))
        return rows

    train(read, ITEMS, small(epochs=3), seed=3)
    assert len(alive) == 3


def test_another_seed_gives_other_weights():
    sequences = walks(200)
    one, other = (train(lambda: sequences, ITEMS, small(epochs=1), seed).model.log_scale for seed in (3, 4))
    assert one != other


def test_it_learns_what_follows_what():
    sequences = walks(600)
    trained = train(lambda: sequences, ITEMS, small(epochs=12), seed=3)
    history = sequences_of(np.array([[-1, -1, 4, 5, 6]]), np.array([[0, 0, 1, 2, 3]]))
    users, items = vectors(trained.model, trained.known, history, nothing_known(trained.known))
    scores = (users @ items.T)[0]
    scores[[4, 5, 6]] = -np.inf  # the loss says nothing about items that the user has
    assert trained.log[-1].loss < trained.log[0].loss / 3
    assert scores.argmax() == 7


@pytest.mark.parametrize(("length", "heads", "most"), [(50, 1, 1024), (50, 8, 1024), (1000, 1, 40), (1000, 16, 2)])
def test_long_histories_are_read_few_at_once_so_that_attention_fits_the_memory(length, heads, most):
    of_one = model(config(20, length=length, size=16, heads=heads, blocks=1, kind="gru", inputs=("id",)))
    read, users = [], most + 1
    of_one.user_tower.register_forward_pre_hook(lambda _, given: read.append(len(given[0])))
    items = np.random.default_rng(0).integers(20, size=(users, length))
    found, _ = vectors(of_one, np.arange(20, dtype=np.int32), sequences_of(items, np.full_like(items, 19_000)), ITEMS)
    assert max(read) == most
    assert sum(read) == users
    assert found.any(axis=1).all()


def test_of_a_history_that_is_longer_than_the_models_the_last_items_count():
    trained = train(lambda: walks(100), ITEMS, small(epochs=1), seed=3)
    longer = sequences_of(np.arange(12)[None], 19_000 + np.arange(12)[None])
    found, wanted = (vectors(trained.model, trained.known, of, ITEMS)[0] for of in (longer, longer.last(5)))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("encoder", "fusion"), [("mean", "sum"), ("cnn", "gated"), ("transformer", "concat")])
def test_a_word_brand_title_or_picture_that_no_item_of_the_training_has_says_nothing(encoder, fusion):
    one = np.append(np.where(np.arange(20) % 2, 1, 3), [2, 2, 2])  # 2 is of the three new items alone, as a picture is
    several = np.stack([np.append(one[:20], [2, 1, 1]), np.append(np.zeros(20), [0, 0, 2])], axis=1)
    new = np.append(np.zeros(20), [1, 1, 1])
    numbers = (array.astype(np.int32) for array in (several, one, one, several, new, new))
    sentences, pixels = np.full((2, SENTENCE_SIZE), 0.05, np.float32), np.full((2, 3, 8, 8), 200, np.uint8)
    catalogue = Catalogue(np.arange(23, dtype=np.int32), ItemContent(*numbers, sentences, pixels))
    inputs = ("id", "brand", "price", "categories", "text", "sentence", "image")
    settings = small(epochs=1, item_inputs=inputs, text_encoder=encoder, fusion=fusion, image_size=8)
    found = train(lambda: walks(100), catalogue, settings, seed=3)
    for name in inputs[1:-2]:
        norms = found.model.item_tower.encoders[name].embedding.weight.norm(dim=1)
        assert (norms > 0).tolist() == [False, True, False, True], name

    _, items = vectors(found.model, found.known, walks(1), catalogue)
    unheard_of, heard_of, both = items[20:, :-1]
    assert not unheard_of.any()
    assert heard_of.any()
    np.testing.assert_array_equal(both, heard_of)


def test_what_the_settings_ask_for_and_no_item_or_user_has_is_told(capsys):
    settings = small(epochs=1, item_inputs=("id", "brand", "image"), user_attributes=True)
    train(lambda: walks(50), CONTENT, settings, seed=3)
    told = "the settings ask for {}, which no item or user of the training has"
    assert told.format("user_attributes") in capsys.readouterr().out
    train(lambda: walks(50), ITEMS, settings, seed=3)
    assert told.format("brand, image, user_attributes") in capsys.readouterr().out


@pytest.mark.parametrize("kind", USER_TOWERS)
def test_a_gap_that_nobody_had_in_the_training_says_nothing(kind):
    model = train(lambda: walks(100), ITEMS, small(epochs=1, user_tower=kind), seed=3)  # gaps of 0 to 5 days
    histories = sequences_of(np.array([[4, 5, 6]] * 3), np.array([[1, 2, 3], [1, 2, 102], [1, 2, 3002]]))
    short, long, longer = vectors(model.model, model.known, histories, ITEMS)[0]
    np.testing.assert_array_equal(long, longer)
    assert not np.array_equal(short, long)


def test_a_place_in_a_text_behind_those_of_the_training_says_nothing():
    some = np.arange(1, 21, dtype=np.int32)[:, None]
    of_items = replace(ITEMS.content, text=np.concatenate([some, some], axis=1))
    settings = small(epochs=1, item_inputs=("text",), text_encoder="transformer")
    position = train(lambda: walks(100), replace(ITEMS, content=of_items), settings, 3).model.item_tower.encoders
    assert position["text"].encoder.position.any(dim=1).tolist() == [True, True] + [False] * 510


def test_logq_corrects_a_softmax_alone():
    def losses(loss: str, logq: str) -> list[float]:
        settings = small(epochs=2, negatives=10, loss=loss).model_copy(update={"logq": logq})  # refused for most losses
        return [epoch.loss for epoch in train(lambda: walks(100), ITEMS, settings, seed=3).log]

    for loss in ("bpr", "bce"):
        assert losses(loss=loss, logq="counts") == losses(loss=loss, logq="none"), loss
    assert losses(loss="sampled_softmax", logq="counts") != losses(loss="sampled_softmax", logq="none")


def test_every_epoch_reads_the_rows_anew():
    reads = []
    sequences = walks(50)
    train(lambda: reads.append(1) or sequences, ITEMS, small(epochs=3), seed=3)
    assert len(reads) == 3


def test_the_best_epoch_is_kept_and_patience_ends_the_run():
    sequences = walks(100)
    seen, values = [], iter([0.1, 0.4, 0.3, 0.2, 0.9])

    def figure(model):
        seen.append(model.log_scale.item())
        return next(values)

    trained = train(lambda: sequences, ITEMS, small(epochs=9, patience=2), seed=3, validate=lambda known: figure)

    assert len(trained.log) == 4
    assert trained.epochs == 2
    assert trained.model.log_scale.item() == seen[1]


@pytest.mark.parametrize(("figures", "chosen"), [([0.0] * 5, 5), ([0.0, 0.0, 0.0, 0.2, 0.1], 4)])
def test_epochs_that_find_nothing_are_no_reason_to_stop(figures, chosen, capsys):
    values = iter(figures)
    settings = small(epochs=5, patience=2)
    trained = train(lambda: walks(100), ITEMS, settings, seed=3, validate=lambda known: lambda model: next(values))
    assert (len(trained.log), trained.epochs) == (5, chosen)
    told = "validation found no target in any of 5 epochs, so the last one's weights are taken"
    assert (told in capsys.readouterr().out) == (chosen == 5)


def test_a_refit_for_the_chosen_epochs_is_the_run_that_chose_them():
    sequences = walks(100)
    values = iter([0.1, 0.4, 0.3, 0.2])
    settings = small(epochs=9, patience=2)
    chosen = train(lambda: sequences, ITEMS, settings, 3, validate=lambda known: lambda model: next(values))
    refit = train(lambda: sequences, ITEMS, settings, 3, epochs=chosen.epochs)
    assert all(torch.equal(one, refit.model.state_dict()[name]) for name, one in chosen.model.state_dict().items())


def test_the_learning_rate_warms_up_and_decays_to_nothing():
    settings = small(epochs=10, warmup_steps=100, learning_rate=1.0)  # 10 batches an epoch: 100 steps, 10 to warm up
    rates = [learning_rate(settings, 10, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 0.001


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_products_are_coarse_on_a_gpu_alone_and_only_if_the_settings_say_so(device, precision):
    chosen = _precision(torch.device(device), small(precision=precision))
    assert isinstance(chosen, torch.autocast) == ((device, precision) == ("cuda", "bfloat16"))


def test_ids_decay_at_a_rate_of_their_own():
    settings = small(learning_rate=0.1, weight_decay=0.2, id_weight_decay=0.5, graph=False)
    model = new_model(settings, CONTENT.content, walks(100), torch.device("cpu"))
    before = {name: value.clone() for name, value in model.named_parameters()}
    for value in model.parameters():
        value.grad = torch.zeros_like(value)
    optimizer_of(model, settings).step()
    for name, value in model.named_parameters():
        decay = 0.1 * (0.5 if name == "item_tower.ids.weight" else 0.2)
        torch.testing.assert_close(value.detach(), before[name].detach() * (1 - decay))
    assert "item_tower.ids.weight" in before


def test_d05_the_first_loss_that_is_not_finite_stops_the_run(monkeypatch):
    sequences, losses = walks(200), []

    def loss_of(users, *_, **__):
        losses.append(1)
        return users.sum() * (math.nan if len(losses) == 3 else 0)

    monkeypatch.setattr(objective, "softmax_loss", loss_of)
    with pytest.raises(UserError, match="expected a finite loss, found nan in epoch 1"):
        train(lambda: sequences, ITEMS, small(), seed=3)
    assert len(losses) == 3


def test_d06_users_of_one_item_give_no_target_and_no_nan():
    alone = sequences_of(np.array([[-1, 2], [-1, 5]], dtype=np.int32), np.array([[0, 1], [0, 1]], dtype=np.int32))
    trained = train(lambda: alone, ITEMS, small(), seed=3)
    assert trained.log[-1].loss == 0
    assert all(torch.isfinite(value).all() for value in trained.model.state_dict().values())


CONTENT = Catalogue(np.arange(20, dtype=np.int32), content(20))
WAYS = {
    "gru, sampled": {"user_tower": "gru", "loss": "sampled_softmax", "negatives": 40, "graph": False},
    "lstm, in batch": {
        "user_tower": "lstm",
        "loss": "sampled_softmax",
        "sampler": "in_batch",
        "logq": "streaming",
        "graph": False,
    },
    "mlp, content": {"user_tower": "mlp", "item_inputs": ("id", "text"), "text_encoder": "cnn", "fusion": "gated"},
    "bpr, hardest": {"loss": "bpr", "hardest": 6, "negatives": 15, "sampler": "uniform", "time_gaps": False},
    "bce, decay": {"loss": "bce", "half_life_days": 2.0, "negatives": 15, "event_types": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_learns_what_follows_what(way):
    sequences = walks(600)
    trained = train(lambda: sequences, CONTENT, small(epochs=16, **WAYS[way]), seed=3)
    had = (np.arange(20)[:, None] + np.arange(3)) % 20  # three items of each walk, of which the next is to be foretold
    history = np.concatenate([np.full((20, 2), -1), had], axis=1)
    users, items = vectors(
        trained.model, trained.known, sequences_of(history, np.tile([0, 0, 1, 2, 3], (20, 1))), CONTENT
    )
    scores = users @ items.T
    np.put_along_axis(scores, had, -np.inf, axis=1)
    best = np.argsort(-scores, axis=1)[:, :3]
    assert trained.log[-1].loss < 0.7 * trained.log[0].loss
    assert (best == (had[:, -1:] + 1) % 20).any(axis=1).mean() > 0.6  # by chance .18


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_gives_the_same_bits_again(way):
    sequences = walks(100)
    runs = [
        train(lambda: sequences, CONTENT, small(epochs=2, **WAYS[way]), seed=3).model.state_dict() for _ in range(2)
    ]
    assert len(runs[0]) > 5
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items())
