"""What is known of items beside who had them, as arrays."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recpipe import delta
from recpipe.evaluation.metrics import Lists
from recpipe.model.examples import arrow, lists_of, positions
from recpipe.tables import ITEM_FEATURES


@dataclass(frozen=True)
class ItemContent:
    """A row an item. Numbers are those of table `vocabulary` (price bands: `item_content.price_band`); 0 is none."""

    categories: NDArray[np.int32]  # (items, most of an item), padding on the right
    brand: NDArray[np.int32]  # (items,)
    price: NDArray[np.int32]  # (items,), bands
    text: NDArray[np.int32]  # (items, most of an item), padding on the right

    @classmethod
    def none(cls, items: int) -> Self:
        lists, numbers = np.zeros((items, 1), np.int32), np.zeros(items, np.int32)
        return cls(lists, numbers, numbers, lists)

    def __len__(self) -> int:
        return len(self.brand)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """These rows; -1 gives a row of which nothing is known."""
        return type(self)(*(np.pad(array, [(0, 1), *[(0, 0)] * (array.ndim - 1)])[rows] for array in self._arrays()))

    def says(self, inputs: Collection[str]) -> NDArray[np.bool_]:
        """(items,): whether any of ``inputs`` is known of an item."""
        says = np.zeros(len(self), dtype=bool)
        for field in fields(self):
            if field.name in inputs:
                array = getattr(self, field.name)
                says |= (array > 0) if array.ndim == 1 else (array > 0).any(axis=1)
        return says

    def _arrays(self) -> list[NDArray[np.int32]]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Catalogue:
    """Items and what was known of them."""

    numbers: NDArray[np.int32]  # ascending item numbers
    content: ItemContent

    def of_items(self, numbers: NDArray[np.int32]) -> Self:
        """These items; nothing is known of those that the catalogue lacks."""
        return type(self)(numbers, self.content.take(positions(numbers, self.numbers, missing=-1)))

    def rankable(self, known: NDArray[np.int32], inputs: Collection[str]) -> Self:
        """The items that a model gives vectors for: those that it was trained on, and those with any of its inputs.

        Args:
            known: the item numbers that it was trained on, ascending.
            inputs: what its item tower reads.
        """
        told = self.numbers[self.content.says(inputs)]
        return self.of_items(np.union1d(known, told).astype(np.int32))


def read_catalogue(root: Path, ds: date) -> Catalogue:
    """All items and their content as of ``ds``, from `item_features`."""
    query = (
        "select item_index, categories, brand, price_band, tokens from item_features where ds = ? order by item_index"
    )
    with delta.connect(root, [ITEM_FEATURES]) as lake:
        rows = arrow(lake, query, ds)
    numbers = {name: rows[name].to_numpy().astype(np.int32) for name in ("item_index", "brand", "price_band")}
    lists = [right_padded(lists_of(rows[name])) for name in ("categories", "tokens")]
    content = ItemContent(lists[0], numbers["brand"], numbers["price_band"], lists[1])
    return Catalogue(numbers["item_index"], content)


def right_padded(lists: Lists) -> NDArray[np.int32]:
    """(lists, length of the longest, at least 1), padding 0."""
    lengths = lists.lengths()
    padded = np.zeros((len(lists), int(lengths.max(initial=1))), dtype=np.int32)
    rows = np.repeat(np.arange(len(lists)), lengths)
    padded[rows, np.arange(len(lists.values)) - lists.offsets[rows]] = lists.values
    return padded
