"""What the model reads besides training batches, as arrays: evaluation users and a day's users."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recpipe import delta
from recpipe.evaluation.metrics import Lists
from recpipe.model.anchors import FROM_USERS, Users
from recpipe.tables import EVALUATION_EXAMPLES, USER_FEATURES


@dataclass(frozen=True)
class Sequences:
    """Sequences of item numbers, oldest first, padded on the left: (rows, length), but for what is of the user."""

    items: NDArray[np.int32]  # padding -1
    days: NDArray[np.int32]  # days since 1970-01-01, padding 0
    types: NDArray[np.int32]  # see `tables.TYPE_CODES`, padding 0
    attributes: NDArray[np.int32]  # of the row's user, 0 unknown: (rows, most of a user)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Self:
        return type(self)(self.items[rows], self.days[rows], self.types[rows], self.attributes[rows])

    def last(self, length: int) -> Self:
        """The last ``length`` places of each."""
        return type(self)(self.items[:, -length:], self.days[:, -length:], self.types[:, -length:], self.attributes)

    def as_rows_of(self, numbers: NDArray[np.integer]) -> Self:
        """Items as places in ``numbers``, which ascend, padding ``len(numbers)``; others leave no gap."""
        places = positions(self.items, numbers, missing=len(numbers))
        order = np.argsort(places < len(numbers), axis=1, kind="stable")  # padding to the left, the rest as it was
        ordered = (np.take_along_axis(array, order, axis=1) for array in (places, self.days, self.types))
        return type(self)(*ordered, self.attributes)


@dataclass(frozen=True)
class EvaluationUsers:
    """The users for whom a model is to rank: those with a history at the cut and items got after it."""

    histories: Sequences  # (users, history_length)
    seen: Lists
    targets: Lists
    strangers: Lists  # targets of users without a history: no model can rank for them, so none is judged on them

    def __len__(self) -> int:
        return len(self.histories)


@dataclass(frozen=True)
class UserHistories:
    """The users of a day and what they had, in the order of user_id."""

    user_ids: pa.ChunkedArray
    histories: Sequences  # (users, history_length)


def read_evaluation_users(root: Path, users: Users) -> EvaluationUsers:
    with delta.connect(root, [EVALUATION_EXAMPLES]) as lake:
        rows = arrow(
            lake,
            f"select items, days, types, attributes, seen, targets {FROM_USERS} and length > 0 order by user_id",
            *users,
        )
        strangers = arrow(lake, f"select targets {FROM_USERS} and length = 0 order by user_id", *users)["targets"]
    return EvaluationUsers(
        Sequences(*(_matrix(rows[name]) for name in ("items", "days", "types", "attributes"))),
        *(lists_of(rows[name]) for name in ("seen", "targets")),
        lists_of(strangers),
    )


def read_user_histories(root: Path, ds: date, history_length: int) -> UserHistories:
    """Every user of ``user_features`` as of ``ds``; histories cut to the last ``history_length`` items."""
    with delta.connect(root, [USER_FEATURES]) as lake:
        query = (
            "select user_id, history, history_days, history_types, attributes from user_features where ds = ? "
            "order by user_id"
        )
        rows = arrow(lake, query, ds)
    padding = {"history": -1, "history_days": 0, "history_types": 0}
    arrays = (_padded(lists_of(rows[name]), history_length, nothing) for name, nothing in padding.items())
    return UserHistories(rows["user_id"], Sequences(*arrays, _matrix(rows["attributes"])))


def known_items(items: NDArray[np.integer]) -> NDArray[np.int32]:
    """The item numbers that occur, ascending; -1 is padding."""
    return np.unique(items[items >= 0]).astype(np.int32)


def positions(items: NDArray[np.integer], known: NDArray[np.integer], missing: int) -> NDArray[np.int64]:
    """The place of each item in ``known``, which ascends; ``missing`` for padding and items that are not in it."""
    if len(known) == 0:
        return np.full(items.shape, missing, dtype=np.int64)
    places = np.minimum(np.searchsorted(known, items), len(known) - 1)
    return np.where(known[places] == items, places, missing)


def arrow(lake: duckdb.DuckDBPyConnection, query: str, *params: object) -> pa.Table:
    return lake.sql(query, params=list(params)).to_arrow_table().combine_chunks()


def lists_of(column: pa.ChunkedArray) -> Lists:
    if column.num_chunks == 0:
        return Lists.of([])
    lists = column.chunk(0)
    return Lists(lists.values.to_numpy(), lists.offsets.to_numpy())


def _matrix(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Lists of one length as (rows, length).

    Raises:
        ValueError: lengths differ.
    """
    lists = lists_of(column)
    return lists.values.reshape(len(lists), -1) if len(lists) else np.zeros((0, 0), dtype=np.int32)


def _padded(lists: Lists, length: int, padding: int) -> NDArray[np.int32]:
    """The last ``length`` values of each list, padded on the left: (lists, length)."""
    rows = np.repeat(np.arange(len(lists)), lists.lengths())
    from_end = lists.offsets[rows + 1] - np.arange(len(lists.values))  # 1 for the last
    kept = from_end <= length
    padded = np.full((len(lists), length), padding, dtype=np.int32)
    padded[rows[kept], length - from_end[kept]] = lists.values[kept]
    return padded
