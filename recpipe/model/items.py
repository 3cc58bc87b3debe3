"""Items as the item tower reads them."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from recpipe.model.content import INPUTS, ItemContent


@dataclass(frozen=True)
class ItemTowerConfig:
    """``items`` have an id of their own; numbers of tokens go from 1 to the given ones."""

    size: int
    items: int
    inputs: tuple[str, ...]  # of "id" and the keys of `ENCODERS`
    text_encoder: str  # a key of `TEXT_ENCODERS`
    fusion: str  # a key of `FUSIONS`
    id_dropout: float
    dropout: float
    categories: int
    brands: int
    price_bands: int
    words: int
    image_size: int  # pixels a side that pictures are read with


class Items(NamedTuple):
    """Items as the tower reads them, a row an item."""

    ids: Tensor  # (n,) place among the model's own items; ``items`` for one that has none
    categories: Tensor  # (n, most of an item), padding 0
    brand: Tensor  # (n,), 0 unknown
    price: Tensor  # (n,), 0 unknown
    text: Tensor  # (n, most of an item), padding 0
    sentence: Tensor  # (n,) row of ``sentences``, 0 no title
    image: Tensor  # (n,) row of ``pixels``, 0 no picture
    sentences: Tensor  # (titles + 1, `SENTENCE_SIZE`)
    pixels: Tensor  # (pictures + 1, channels, side, side), uint8

    @classmethod
    def of(cls, ids: np.ndarray, content: ItemContent, device: torch.device | str = "cpu") -> Self:
        arrays = (ids, *(getattr(content, name) for name in INPUTS))
        numbers = (torch.from_numpy(np.asarray(array, dtype=np.int64)).to(device) for array in arrays)
        return cls(*numbers, *(torch.from_numpy(array).to(device) for array in (content.sentences, content.pixels)))

    def take(self, rows: Tensor) -> Self:
        return type(self)(*(field[rows] for field in self[:-2]), *self[-2:])
