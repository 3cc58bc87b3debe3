"""Training sequences through Petastorm: the only module that imports it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from petastorm import make_batch_reader

from recpipe import delta
from recpipe.tables import TRAINING_EXAMPLES

FIELDS = ("items", "days", "length", "shuffle_key")


class RowsLostError(RuntimeError):
    """Petastorm gave another number of rows than the table has."""


@dataclass(frozen=True)
class Sequences:
    """Sequences of item numbers, oldest first, padded on the left."""

    items: NDArray[np.int32]  # (rows, history_length + 1), padding -1
    days: NDArray[np.int32]  # (rows, history_length + 1), days since 1970-01-01

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class TrainingFiles:
    """The files of one anchor's sequences in one version of the table, and the rows that its log says they hold.

    Every epoch reads this list, never the folder, in which files of older versions lie beside the current ones.
    """

    files: tuple[str, ...]
    rows: int
    version: int

    @classmethod
    def of(cls, root: Path, anchor: date, until: date) -> Self:
        """Raises:
        RowsLostError: the log does not say how many rows a file holds.
        """
        table = delta.open_table(root, TRAINING_EXAMPLES)
        added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        ours = [file for file in added if (file["partition.ds"], file["partition.until"]) == (anchor, until)]
        if any(file["num_records"] is None for file in ours):
            raise RowsLostError("expected row counts in the log of training_examples, found files without any")
        folder = Path(delta.table_uri(root, TRAINING_EXAMPLES)).absolute()
        paths = sorted(f"{folder}/{unquote(file['path'])}" for file in ours)
        return cls(tuple(paths), sum(file["num_records"] for file in ours), table.version())

    def read(self) -> Sequences:
        """All rows, once, in the order of shuffle_key, so that files and their order do not matter.

        Raises:
            RowsLostError: the rows read are not as many as the table has.
        """
        chunks = [] if self.rows == 0 else list(self._chunks())
        read = sum(len(chunk.length) for chunk in chunks)
        if read != self.rows:
            raise RowsLostError(
                f"expected {self.rows} training examples as in version {self.version} of the table, Petastorm gave "
                f"{read}; nothing was trained on them"
            )
        if read == 0:
            return Sequences(np.zeros((0, 1), dtype=np.int32), np.zeros((0, 1), dtype=np.int32))
        order = np.argsort(np.concatenate([chunk.shuffle_key for chunk in chunks]), kind="stable")
        return Sequences(*(np.concatenate([getattr(chunk, name) for chunk in chunks])[order] for name in FIELDS[:2]))

    def _chunks(self) -> Iterator:
        """Row groups as Petastorm's named tuples. In this thread: its thread pool was seen to lose rows silently."""
        with (
            _without_deprecations(),
            make_batch_reader(
                [f"file://{file}" for file in self.files],
                schema_fields=list(FIELDS),
                reader_pool_type="dummy",
                num_epochs=1,
                shuffle_row_groups=False,
            ) as reader,
        ):
            yield from reader


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Petastorm warns a dozen times an epoch that it uses pyarrow's old interfaces, which is why pyarrow is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
