"""Histories as the towers read them, without most of the padding."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recpipe.model.examples import Sequences

SHORTEST = 2
"""Places that a history has at least: an item and the one to be predicted."""


class Histories(NamedTuple):
    """All (users, length), padded on the left, but for what is of the users."""

    rows: Tensor  # places of items
    days: Tensor  # since 1970-01-01
    types: Tensor  # see `tables.TYPE_CODES`
    attributes: Tensor  # (users, most of a user), 0 unknown

    @classmethod
    def of(cls, sequences: Sequences, padding: int) -> Self:
        """Cut on the left to the longest."""
        longest = max(int(_lengths(sequences, padding).max(initial=0)), SHORTEST)
        cut = (array[:, -longest:] for array in (sequences.items, sequences.days, sequences.types))
        return cls(*(torch.from_numpy(array.astype(np.int64)) for array in (*cut, sequences.attributes)))

    def to(self, device: torch.device) -> Self:
        return type(self)(*(tensor.to(device) for tensor in self))


def in_groups(sequences: Sequences, padding: int) -> list[Histories]:
    """In groups of like lengths, none twice as long as its shortest, so that the towers work on little padding."""
    # frexp's exponent of length - 1 is 1 for a length of 2, 2 for 3 and 4, 3 for 5 to 8
    group = np.frexp(np.maximum(_lengths(sequences, padding), SHORTEST) - 1)[1]
    return [Histories.of(sequences[group == one], padding) for one in np.unique(group)]


def in_blocks(sequences: Sequences, padding: int, size: int) -> Iterator[tuple[NDArray[np.integer], Histories]]:
    """Rows of the sequences, ``size`` at once, and their histories; the shortest first."""
    order = np.argsort(_lengths(sequences, padding), kind="stable")
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        yield rows, Histories.of(sequences[rows], padding)


def _lengths(sequences: Sequences, padding: int) -> NDArray[np.integer]:
    return (sequences.items != padding).sum(axis=1)
