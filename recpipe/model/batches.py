"""Training sequences through Petastorm: the only module that imports it."""

import faulthandler
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from petastorm import make_batch_reader
from petastorm.reader import Reader
from pyarrow.filesystem import LocalFileSystem

from recpipe import delta
from recpipe.model.anchors import Rows
from recpipe.model.examples import Sequences
from recpipe.tables import TRAINING_EXAMPLES

PADDED = ("items", "days", "types")
LISTS = (*PADDED, "attributes")
FIELDS = (*LISTS, "length", "shuffle_key")

STUCK_SECONDS = 300.0
"""A read that takes longer says where it stands, again and again: a log without a word helps nobody."""


class NativeFiles(LocalFileSystem):
    """Local files that pyarrow's threads read by themselves.

    Petastorm would hand them Python's files, for which they need the interpreter, and one that still let go of such a
    file when the process ended was seen to abort it, after all its work was done.
    """

    def open(self, path: str, mode: str = "rb") -> pa.NativeFile:
        return pa.OSFile(path, mode)


class RowsLostError(RuntimeError):
    """Petastorm gave other rows or fields than the table has."""


@dataclass(frozen=True)
class TrainingFiles:
    """The files of some of the table's rows in one version of it, and how many rows its log says they hold.

    Every epoch reads this list, never the folder, in which files of older versions lie beside the current ones.
    """

    files: tuple[str, ...]
    rows: int
    version: int

    @classmethod
    def of(cls, root: Path, rows: Rows) -> Self:
        """Raises:
        RowsLostError: the log does not say how many rows a file holds.
        """
        table = delta.open_table(root, TRAINING_EXAMPLES)
        added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        ours = [file for file in added if (file["partition.ds"], file["partition.until"]) == rows]
        if any(file["num_records"] is None for file in ours):
            raise RowsLostError("expected row counts in the log of training_examples, found files without any")
        folder = Path(delta.table_uri(root, TRAINING_EXAMPLES)).absolute()
        paths = sorted(f"{folder}/{unquote(file['path'])}" for file in ours)
        return cls(tuple(paths), sum(file["num_records"] for file in ours), table.version())

    def read(self) -> Sequences:
        """All rows, once, in the order of shuffle_key, so that files and their order do not matter.

        Raises:
            RowsLostError: the rows read are not as many as the table has, lack a field, or hold
                other than whole numbers and lists of one length.
        """
        chunks, read = [], 0
        with _told_when_stuck():
            for chunk in self._chunks() if self.rows else ():
                chunks.append(chunk)
                read += len(chunk.length)
                if read > self.rows:
                    break  # one without an end would fill the memory
        if read != self.rows:
            raise RowsLostError(
                f"expected {self.rows} training examples as in version {self.version} of the table, Petastorm gave "
                f"{read}; nothing was trained on them"
            )
        if read == 0:
            return Sequences(*(np.zeros((0, 1), dtype=np.int32) for _ in LISTS))
        order = np.argsort(np.concatenate([chunk.shuffle_key for chunk in chunks]), kind="stable")
        sequences = Sequences(*(np.concatenate([getattr(chunk, name) for chunk in chunks])[order] for name in LISTS))
        shapes = {name: getattr(sequences, name).shape for name in PADDED}
        if len(set(shapes.values())) > 1 or not np.array_equal(sequences.items < 0, sequences.types == 0):
            raise RowsLostError(f"expected items, days and types of one shape and padding, found {shapes}")
        return sequences

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
                filesystem=NativeFiles(),
            ) as reader,
        ):
            for chunk in _row_groups(reader):
                if missing := set(FIELDS) - set(chunk._fields):  # Petastorm leaves out what it cannot read
                    raise RowsLostError(f"expected the fields {', '.join(FIELDS)}, found no {', '.join(missing)}")
                _require_whole_numbers(chunk)
                yield chunk


def _row_groups(reader: Reader) -> Iterator:
    """What Petastorm gives; of lists that are missing or of several lengths it complains in several ways."""
    try:
        yield from reader
    except (RuntimeError, AttributeError) as error:
        raise RowsLostError(f"expected lists of one length in every row, Petastorm said: {error}") from error


def _require_whole_numbers(chunk: tuple) -> None:
    """A null makes Petastorm give floats, which round the great ones, or objects."""
    for name in FIELDS:
        values = getattr(chunk, name)
        if not np.issubdtype(values.dtype, np.integer):
            raise RowsLostError(f"expected whole numbers without a null in {name}, found {values.dtype}")


@contextmanager
def _told_when_stuck() -> Iterator[None]:
    faulthandler.dump_traceback_later(STUCK_SECONDS, repeat=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Petastorm warns a dozen times an epoch that it uses pyarrow's old interfaces, which is why pyarrow is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
