"""Small models of every kind, and items for them."""

from dataclasses import replace

import numpy as np
import torch

from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.examples import Sequences
from recpipe.model.items import Items, ItemTowerConfig
from recpipe.model.sentences import SENTENCE_SIZE
from recpipe.model.towers import TowerConfig, TwoTower
from recpipe.model.user_towers import UserTowerConfig

INPUTS = ("id", "categories", "brand", "price", "text", "sentence", "image")


def config(items: int, length: int = 5, **changes: object) -> TowerConfig:
    """Of one with attention, ids alone and no graph, changed where ``changes`` name a field of any part."""
    item = ItemTowerConfig(
        size=8,
        items=items,
        inputs=("id",),
        text_encoder="cnn",
        fusion="sum",
        id_dropout=0.5,
        dropout=0.5,
        categories=4,
        brands=3,
        price_bands=5,
        words=6,
        image_size=8,
    )
    user = UserTowerConfig(
        kind="attention", size=8, history_length=length, blocks=2, heads=1, dropout=0.5, time_gaps=True, attributes=0
    )
    whole = TowerConfig(item=item, user=user, item_dropout=0.5, event_types=False, edges=None, edge_dropout=0.5)
    parts = {part: _only(getattr(whole, part), changes) for part in ("item", "user")}
    return replace(whole, **parts, **{name: value for name, value in changes.items() if hasattr(whole, name)})


def _only(part: object, changes: dict[str, object]) -> object:
    return replace(part, **{name: value for name, value in changes.items() if hasattr(part, name)})


def model(config: TowerConfig, seed: int = 3) -> TwoTower:
    """With random parameters throughout: biases start at 0, where a mistake in them would not show."""
    torch.manual_seed(seed)
    made = TwoTower(config).eval()
    for name, parameter in made.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3)
        if name.endswith(("ids.weight", "embedding.weight", "types.weight")):  # rows of padding stay zero
            with torch.no_grad():
                parameter[-1 if "ids" in name else 0] = 0
    return made


def content(items: int) -> ItemContent:
    """Every item has something of everything but for the last one, of which nothing is known."""
    numbers = np.arange(items)
    has = (numbers < items - 1).astype(np.int32)
    lists = [np.stack([numbers % most + 1, (numbers + 1) % most * has], axis=1) * has[:, None] for most in (4, 6)]
    categories, text = (array.astype(np.int32) for array in lists)
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (6, 3, 8, 8)).astype(np.uint8)
    image = (numbers % 5 + 1).astype(np.int32) * has
    sentences = draw.normal(size=(5, SENTENCE_SIZE)).astype(np.float32) / SENTENCE_SIZE**0.5
    sentence = (numbers % 4 + 1).astype(np.int32) * has
    brand, price = ((numbers % most + 1).astype(np.int32) * has for most in (3, 5))
    return ItemContent(categories, brand, price, text, sentence, image, sentences, pixels)


def inputs(items: int) -> Items:
    return Items.of(np.arange(items), content(items))


def of_strangers(items: np.ndarray, days: np.ndarray, types: np.ndarray) -> Sequences:
    """Sequences of users of whom no attribute is known."""
    return Sequences(items, days, types, np.zeros((len(items), 3), dtype=np.int32))


def nothing_known(numbers: list[int] | np.ndarray) -> Catalogue:
    return Catalogue(np.asarray(numbers, dtype=np.int32), ItemContent.none(len(numbers)))
