"""What is known of items beside who had them, as arrays."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recpipe import delta
from recpipe.evaluation.metrics import Lists
from recpipe.model.examples import arrow, lists_of, positions
from recpipe.model.pictures import CHANNELS, Landed, PictureStore
from recpipe.model.sentences import SENTENCE_SIZE, SentenceStore
from recpipe.settings import Settings
from recpipe.tables import IMAGES, ITEM_FEATURES, PICTURES

INPUTS = ("categories", "brand", "price", "text", "sentence", "image")
"""What an item tower may read beside the id, as fields of `ItemContent`."""


@dataclass(frozen=True)
class ItemContent:
    """A row an item. Numbers are those of table `vocabulary` (price bands: `item_content.price_band`); 0 is none."""

    categories: NDArray[np.int32]  # (items, most of an item), padding on the right
    brand: NDArray[np.int32]  # (items,)
    price: NDArray[np.int32]  # (items,), bands
    text: NDArray[np.int32]  # (items, most of an item), padding on the right
    sentence: NDArray[np.int32]  # (items,), row of ``sentences``; 0 has no title
    image: NDArray[np.int32]  # (items,), row of ``pixels``; 0 has no picture
    sentences: NDArray[np.float32]  # (titles + 1, `SENTENCE_SIZE`); items may share one
    pixels: NDArray[np.uint8]  # (pictures + 1, channels, side, side); items may share one

    @classmethod
    def none(cls, items: int) -> Self:
        lists, numbers = np.zeros((items, 1), np.int32), np.zeros(items, np.int32)
        sentences, pixels = np.zeros((1, SENTENCE_SIZE), np.float32), np.zeros((1, CHANNELS, 1, 1), np.uint8)
        return cls(lists, numbers, numbers, lists, numbers, numbers, sentences, pixels)

    def __len__(self) -> int:
        return len(self.brand)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """These rows; -1 gives a row of which nothing is known."""
        taken = {}
        for name in INPUTS:
            array = getattr(self, name)
            taken[name] = np.pad(array, [(0, 1), *[(0, 0)] * (array.ndim - 1)])[rows]
        return replace(self, **taken)

    def says(self, inputs: Collection[str]) -> NDArray[np.bool_]:
        """(items,): whether any of ``inputs`` is known of an item."""
        says = np.zeros(len(self), dtype=bool)
        for name in set(INPUTS) & set(inputs):
            array = getattr(self, name)
            says |= (array > 0) if array.ndim == 1 else (array > 0).any(axis=1)
        return says


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


def read_catalogue(settings: Settings, ds: date, inputs: Collection[str], image_size: int) -> Catalogue:
    """All items and their content as of ``ds``; titles' vectors, and pictures of ``image_size`` pixels a side, if
    ``inputs`` name them.

    Raises:
        UserError: a picture is not there any more, or the encoder of titles is not.
    """
    query = (
        "select item_index, categories, brand, price_band, tokens, trim(title) as title from item_features "
        "where ds = ? order by item_index"
    )
    with delta.connect(settings.lake, [ITEM_FEATURES]) as lake:
        rows = arrow(lake, query, ds)
    numbers = {name: rows[name].to_numpy().astype(np.int32) for name in ("item_index", "brand", "price_band")}
    categories, text = (right_padded(lists_of(rows[name])) for name in ("categories", "tokens"))
    nothing = ItemContent.none(len(rows))
    sentence, sentences, image, pixels = nothing.sentence, nothing.sentences, nothing.image, nothing.pixels
    if "sentence" in inputs:
        sentence, sentences = _sentences(settings, rows["title"].to_pylist())
    if "image" in inputs:
        image, pixels = _pictures(settings, ds, numbers["item_index"], image_size)
    told = categories, numbers["brand"], numbers["price_band"], text, sentence, image
    return Catalogue(numbers["item_index"], ItemContent(*told, sentences, pixels))


def _sentences(settings: Settings, titles: Sequence[str | None]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The row of each item's title, and the titles' vectors; the same title stands there once."""
    row_of = {title: row for row, title in enumerate(dict.fromkeys(filter(None, titles)), start=1)}
    vectors = SentenceStore(settings.home / "cache" / "sentences").read(list(row_of))
    return np.array([row_of.get(title, 0) for title in titles], np.int32), _behind_nothing(vectors)


PICTURES_AS_OF = """
    select item_index, max_by(
        {'day': images.arrived_on, 'file': file, 'sha256': sha256, 'bytes': bytes}, images.arrived_on) as newest
    from images join item_features using (item_id) where ds = $ds and images.arrived_on <= $ds
    group by item_index order by item_index"""


def _pictures(
    settings: Settings, ds: date, items: NDArray[np.int32], size: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The row of each item's newest picture as of ``ds``, and the pixels; the same bytes stand there once."""
    with delta.connect(settings.lake, [IMAGES, ITEM_FEATURES]) as lake:
        found = lake.execute(PICTURES_AS_OF, {"ds": ds}).fetchall()
    places: dict[str, Landed] = {}
    for _, newest in found:
        file = f"arrived_on={newest['day']}/{newest['file']}"
        places.setdefault(newest["sha256"], Landed(file, newest["sha256"], newest["bytes"]))
    row_of = {sha256: row for row, sha256 in enumerate(places, start=1)}
    image = np.zeros(len(items), dtype=np.int32)
    image[np.searchsorted(items, [number for number, _ in found])] = [row_of[newest["sha256"]] for _, newest in found]
    store = PictureStore(settings.landing / PICTURES, settings.home / "cache" / "pictures", size)
    pixels = store.read(list(places.values()))
    return image, _behind_nothing(pixels)


def _behind_nothing(rows: NDArray) -> NDArray:
    """With a row of zeros before them, of those that have none."""
    return np.concatenate([np.zeros_like(rows, shape=(1, *rows.shape[1:])), rows])


def right_padded(lists: Lists) -> NDArray[np.int32]:
    """(lists, length of the longest, at least 1), padding 0."""
    lengths = lists.lengths()
    padded = np.zeros((len(lists), int(lengths.max(initial=1))), dtype=np.int32)
    rows = np.repeat(np.arange(len(lists)), lengths)
    padded[rows, np.arange(len(lists.values)) - lists.offsets[rows]] = lists.values
    return padded
