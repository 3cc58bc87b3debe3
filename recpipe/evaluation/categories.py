"""Of which categories items, histories and lists are: sparse rows of shares that add up to 1."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


def category_shares(categories: NDArray[np.integer]) -> csr_array:
    """(items, most) numbers from 1, padding 0, to (items, categories): an item's categories share its weight."""
    has = categories > 0
    rows = np.broadcast_to(np.arange(len(categories))[:, None], categories.shape)[has]
    weights = 1 / has.sum(axis=1)[rows]
    return csr_array((weights, (rows, categories[has])), shape=(len(categories), categories.max(initial=0) + 1))


def category_mix(rows: NDArray[np.integer], items: NDArray[np.integer], users: int, of_items: csr_array) -> csr_array:
    """(users, categories): the shares in each user's items, which are given as (row, item) pairs; all 0 where no item
    has a category.

    Args:
        of_items: see `category_shares`.
    """
    counts = csr_array((np.ones(len(rows)), (rows, items)), shape=(users, of_items.shape[0])) @ of_items
    sums = np.repeat(counts.sum(axis=1), np.diff(counts.indptr))
    return csr_array((counts.data / sums, counts.indices, counts.indptr), shape=counts.shape)
