"""Whole nights of a small lake: features of users and items, and lists."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from recpipe import delta
from recpipe.tables import ITEM_FEATURES, RECOMMENDATIONS, USER_FEATURES
from tests.rows import item_feature, recommendation, user_feature

ITEMS = tuple(f"item {n:02}" for n in range(100))
"""The most popular first, which is also the most owned hundredth of them."""

Lists = Mapping[str, Sequence[str]]


def lists(first: int = 0) -> dict[str, Sequence[str]]:
    """Of ten users two items each, no item twice, from ITEMS[first] on."""
    return {f"user {n}": ITEMS[first + 2 * n : first + 2 * n + 2] for n in range(10)}


def write_lists(lake: Path, ds: date, lists: Lists, **values: Any) -> None:
    rows = [
        recommendation(user_id, rank, item_id, ds=ds, **values)
        for user_id, items in lists.items()
        for rank, item_id in enumerate(items, start=1)
    ]
    delta.overwrite_partition(lake, RECOMMENDATIONS, rows, ds)


def write_night(lake: Path, ds: date, lists: Lists, users: Iterable[str] = (), **values: Any) -> None:
    """Lists, and features of their users, of ``users``, who have none, and of all `ITEMS`.

    Args:
        values: of every recommendation.
    """
    known = [user_feature(user_id, ds=ds) for user_id in (*lists, *users)]
    items = [item_feature(item_id, n, ds=ds, popularity=100 - n) for n, item_id in enumerate(ITEMS)]
    delta.overwrite_partition(lake, USER_FEATURES, known, ds)
    delta.overwrite_partition(lake, ITEM_FEATURES, items, ds)
    write_lists(lake, ds, lists, **values)
