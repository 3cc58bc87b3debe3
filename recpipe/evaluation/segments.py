"""Parts of what a model is judged on: targets by who got them, and by what they are.

Every segment is a mask over the targets of all users, (targets,), as `Lists.values` has them.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recpipe.evaluation.baselines import RECENT_DAYS
from recpipe.evaluation.metrics import Lists

LENGTHS = (1, 2, 5, 10)
"""Items of a history at which its segment begins."""
POPULARITY = ("head", "torso", "tail")
"""Items by popularity, each holding a third of what users have (the most popular ones first)."""
MOST_CATEGORIES = 10

Segments = Mapping[str, NDArray[np.bool_]]


def by_history(lengths: NDArray[np.integer], last_days: NDArray[np.integer], targets: Lists) -> Segments:
    """By how many items the user met, and by how long before the newest of anybody's the last of them was.

    Args:
        lengths, last_days: (users,); days count from any day.
    """
    ago = last_days.max(initial=0) - last_days
    masks = {
        f"history {_from_to(first, end)}": (lengths >= first) & (lengths < end)
        for first, end in pairwise([*LENGTHS, np.inf])
    }
    masks |= {
        f"active in the last {RECENT_DAYS} days": ago < RECENT_DAYS,
        f"inactive for {RECENT_DAYS} days": ago >= RECENT_DAYS,
    }
    return {name: np.repeat(mask, targets.lengths()) for name, mask in masks.items()}


def _from_to(first: int, end: float) -> str:
    last = end - 1
    return f"{first}+" if np.isinf(end) else str(first) if first == last else f"{first}-{last:.0f}"


def by_popularity(owners: NDArray[np.integer], targets: Lists) -> Segments:
    """By how many users had the item: see POPULARITY, and cold items, which nobody had, viewed or not.

    Args:
        owners: (candidates,).
    """
    order = np.argsort(-owners, kind="stable")
    before = np.cumsum(owners[order]) - owners[order]  # owners of the more popular ones
    third = np.empty(len(owners), dtype=np.int64)
    third[order] = len(POPULARITY) * before // max(owners.sum(), 1)
    of_items = {f"{name} items": (third == place) & (owners > 0) for place, name in enumerate(POPULARITY)}
    return {name: _of_targets(mask, targets) for name, mask in (of_items | {"cold items": owners == 0}).items()}


def by_category(categories: NDArray[np.integer], names: Mapping[int, str], targets: Lists) -> Segments:
    """By the item's widest category, of those with the most targets.

    Args:
        categories: (candidates,) numbers, 0 for none.
        names: of the numbers; those without a name are passed over.
    """
    counts = np.bincount(categories[targets.values[targets.values >= 0]], minlength=1)
    widest = [number for number in np.argsort(-counts, kind="stable").tolist() if number in names and counts[number]]
    return {
        f"category {names[number]}": _of_targets(categories == number, targets) for number in widest[:MOST_CATEGORIES]
    }


def _of_targets(of_items: NDArray[np.bool_], targets: Lists) -> NDArray[np.bool_]:
    """Targets that are no candidates are in no segment of items."""
    return np.append(of_items, False)[targets.values]
