"""What a model must beat, from the same rows that trained it."""

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

RECENT_DAYS = 30
EPOCH = date(1970, 1, 1)


def popular_all_time(items: NDArray[np.integer], candidates: int) -> NDArray[np.floating]:
    """Interactions of each candidate, (candidates,). ``items`` holds candidates' numbers; others are padding."""
    return np.bincount(items[(items >= 0) & (items < candidates)], minlength=candidates).astype(float)


def popular_recent(
    items: NDArray[np.integer], days: NDArray[np.integer], candidates: int, until: date
) -> NDArray[np.floating]:
    """Interactions of each candidate in the RECENT_DAYS days up to and including ``until``, (candidates,).

    ``days`` has the shape of ``items`` and counts from 1970-01-01.
    """
    first = (until - timedelta(days=RECENT_DAYS - 1) - EPOCH).days
    return popular_all_time(items[days >= first], candidates)
