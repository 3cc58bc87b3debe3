"""What an item says by its words and by its picture: two signals that are planted apart from each other.

Each item is of one of four kinds by a word and of one of four by a picture's shade, and a user takes items of one kind
in both ways. Who reads one of them finds the kind by it and guesses the other. Items have no id here, and those that
models are judged on are new, since words or noise in a picture may stand for an id.
"""

from dataclasses import replace

import numpy as np
import pytest

from recpipe.evaluation.metrics import Lists, recall_at_k
from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.contest import Contest
from recpipe.model.examples import EvaluationUsers, Sequences
from recpipe.model.training import Trained, train
from recpipe.model_settings import ModelSettings
from tests.model.small_models import of_strangers

KINDS, OF_BOTH, SIDE, TAKEN = 4, 8, 8, 5
ITEMS = KINDS * KINDS * OF_BOTH
BY_ONE = 10 / (KINDS * OF_BOTH - TAKEN)  # ten of those that are of one kind by word, or by picture
"""Recall@10 to be expected."""


def catalogue() -> Catalogue:
    """Twice the items: the first half is trained on, the second is new."""
    count = 2 * ITEMS
    draw, numbers = np.random.default_rng(1), np.arange(count)
    of_word, of_picture = numbers % KINDS, numbers // KINDS % KINDS
    words = np.stack([1 + of_word, draw.integers(1 + KINDS, 30, size=count)], axis=1)  # the second says nothing
    shades = 40 + 50 * of_picture[:, None, None, None] + draw.integers(-20, 21, size=(count, 3, SIDE, SIDE))
    pixels = np.concatenate([np.zeros((1, 3, SIDE, SIDE)), shades]).astype(np.uint8)
    nothing = ItemContent.none(count)
    content = replace(nothing, text=words.astype(np.int32), image=(1 + numbers).astype(np.int32), pixels=pixels)
    return Catalogue(numbers.astype(np.int32), content)


def users(count: int, seed: int, taken: int, first: int = 0) -> tuple[Sequences, Lists]:
    """What each took of the items from ``first`` on, and the rest of those of that kind in both ways."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(KINDS * KINDS, size=count)
    lists = [draw.permutation(first + np.arange(kind, ITEMS, KINDS * KINDS)) for kind in kinds]
    items = np.array([its[:taken] for its in lists], dtype=np.int32)
    sequences = of_strangers(items, np.full_like(items, 19_000), np.full_like(items, 4))
    return sequences, Lists.of([its[taken:].tolist() for its in lists])


def trained(*inputs: str, **changes: object) -> Trained:
    pixels = {"image_size": SIDE} if "image" in inputs else {}
    settings = ModelSettings(
        embedding_size=16, batch_size=64, epochs=12, learning_rate=0.01, warmup_steps=10, dropout=0.1, item_dropout=0.1,
        graph=False, user_tower="mlp", item_inputs=inputs, **pixels, **changes,
    )  # fmt: skip
    sequences, _ = users(600, seed=2, taken=TAKEN + 1)
    return train(lambda: sequences, catalogue(), settings, seed=3, epochs=12)


def recall(of: Trained, shown: Catalogue) -> float:
    histories, targets = users(300, seed=4, taken=TAKEN, first=ITEMS)
    seen = [[*range(ITEMS), *its] for its in histories.items.tolist()]  # only new items are ranked
    judges = EvaluationUsers(histories, Lists.of(seen), targets, strangers=Lists.of([]))
    contest = Contest.of(judges, shown, of.known, of.model.config.item.inputs)
    hits = contest.hits(*contest.vectors(of.model, of.known))
    return float(np.mean(recall_at_k(hits, contest.targets.lengths())))


def without(name: str) -> Catalogue:
    whole = catalogue()
    return replace(whole, content=replace(whole.content, **{name: np.zeros_like(getattr(whole.content, name))}))


def test_each_signal_is_found_by_its_own_encoder_and_both_by_the_fused_one():
    text, image, both = (recall(trained(*inputs), catalogue()) for inputs in (("text",), ("image",), ("text", "image")))
    assert text > 0.8 * BY_ONE
    assert image > 0.8 * BY_ONE
    assert both > max(text, image) + 0.3


@pytest.mark.parametrize("fusion", ["sum", "concat", "gated", "attention"])
def test_without_one_signal_the_fused_tower_goes_by_the_other(fusion):
    model = trained("text", "image", fusion=fusion)
    assert recall(model, catalogue()) > 0.7
    for name in ("text", "image"):
        assert recall(model, without(name)) > 0.7 * BY_ONE, name
