"""What the model reads besides training batches, as arrays: evaluation users and a day's users."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recpipe import delta
from recpipe.evaluation.metrics import Lists
from recpipe.model.anchors import FROM_USERS, Users
from recpipe.tables import EVALUATION_EXAMPLES, USER_FEATURES


@dataclass(frozen=True)
class EvaluationUsers:
    """The users for whom a model is to rank: those with a history at the cut and items got after it."""

    items: NDArray[np.int32]  # (users, history_length), item numbers, padding -1 on the left
    days: NDArray[np.int32]  # (users, history_length), days since 1970-01-01
    seen: Lists
    targets: Lists
    strangers: int  # users without a history: no model can rank for them, so none is judged on them

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class UserHistories:
    """The users of a day and what they had, in the order of user_id."""

    user_ids: pa.ChunkedArray
    items: NDArray[np.int32]  # (users, history_length), padding -1 on the left
    days: NDArray[np.int32]


def read_evaluation_users(root: Path, users: Users) -> EvaluationUsers:
    with delta.connect(root, [EVALUATION_EXAMPLES]) as lake:
        rows = _arrow(lake, f"select items, days, seen, targets {FROM_USERS} and length > 0 order by user_id", *users)
        [strangers] = lake.execute(f"select count(*) {FROM_USERS} and length = 0", list(users)).fetchone()
    return EvaluationUsers(
        *(_matrix(rows[name]) for name in ("items", "days")),
        *(_lists(rows[name]) for name in ("seen", "targets")),
        strangers,
    )


def read_user_histories(root: Path, ds: date, history_length: int) -> UserHistories:
    """Every user of ``user_features`` as of ``ds``; histories cut to the last ``history_length`` items."""
    with delta.connect(root, [USER_FEATURES]) as lake:
        rows = _arrow(
            lake, "select user_id, history, history_days from user_features where ds = ? order by user_id", ds
        )
    return UserHistories(
        rows["user_id"],
        _padded(_lists(rows["history"]), history_length, -1),
        _padded(_lists(rows["history_days"]), history_length, 0),
    )


def known_items(items: NDArray[np.integer]) -> NDArray[np.int32]:
    """The item numbers that occur, ascending; -1 is padding."""
    return np.unique(items[items >= 0]).astype(np.int32)


def positions(items: NDArray[np.integer], known: NDArray[np.integer], missing: int) -> NDArray[np.int64]:
    """The place of each item in ``known``, which ascends; ``missing`` for padding and items that are not in it."""
    places = np.minimum(np.searchsorted(known, items), len(known) - 1)
    return np.where(known[places] == items, places, missing)


def known_histories(
    items: NDArray[np.integer], days: NDArray[np.integer], known: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Histories as places in ``known``, padding ``len(known)``; unknown items leave no gap. Shapes as given."""
    places = positions(items, known, missing=len(known))
    order = np.argsort(places < len(known), axis=1, kind="stable")  # padding to the left, the order of the rest kept
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(days, order, axis=1)


def _arrow(lake: duckdb.DuckDBPyConnection, query: str, *params: object) -> pa.Table:
    return lake.sql(query, params=list(params)).to_arrow_table().combine_chunks()


def _lists(column: pa.ChunkedArray) -> Lists:
    if column.num_chunks == 0:
        return Lists.of([])
    lists = column.chunk(0)
    return Lists(lists.values.to_numpy(), lists.offsets.to_numpy())


def _matrix(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Lists of one length as (rows, length).

    Raises:
        ValueError: lengths differ.
    """
    lists = _lists(column)
    return lists.values.reshape(len(lists), -1) if len(lists) else np.zeros((0, 0), dtype=np.int32)


def _padded(lists: Lists, length: int, padding: int) -> NDArray[np.int32]:
    """The last ``length`` values of each list, padded on the left: (lists, length)."""
    rows = np.repeat(np.arange(len(lists)), lists.lengths())
    from_end = lists.offsets[rows + 1] - np.arange(len(lists.values))  # 1 for the last
    kept = from_end <= length
    padded = np.full((len(lists), length), padding, dtype=np.int32)
    padded[rows[kept], length - from_end[kept]] = lists.values[kept]
    return padded
