"""Items that stand near each other in training histories, as a graph on which the item tower takes one step."""

from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from torch import Tensor, nn

WINDOW = 3
"""Places of a history within which two items count as near."""


class Edges(NamedTuple):
    """Rows of a sparse matrix, one after another: row i is ``neighbours[offsets[i]:offsets[i + 1]]``."""

    neighbours: Tensor  # (edges,) int64
    offsets: Tensor  # (items,) int64
    weights: Tensor  # (edges,) float32

    @classmethod
    def of(cls, places: NDArray[np.integer], items: int) -> Self:
        """The edges between ``items`` items: D^-1/2 G D^-1/2, where G counts pairs of near items, one at a distance of
        n places as 1/n, and D has its row sums (the propagation of LightGCN, He et al., 2020, from item to item).

        Args:
            places: (rows, length) training sequences; padding is ``items``.
        """
        counts = coo_array((items, items))
        for distance in range(1, WINDOW + 1):
            left, right = places[:, :-distance].ravel(), places[:, distance:].ravel()
            near = (left < items) & (right < items) & (left != right)
            weights = np.full(near.sum(), 1 / distance)
            counts = counts + coo_array((weights, (left[near], right[near])), shape=(items, items))
        both = (counts + counts.T).tocsr()
        both.sort_indices()
        degree = both.sum(axis=1)
        scale = diags_array(np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0))
        scaled = (scale @ both @ scale).tocsr()
        scaled.sort_indices()
        return cls(
            torch.from_numpy(scaled.indices.astype(np.int64)),
            torch.from_numpy(scaled.indptr[:-1].astype(np.int64)),
            torch.from_numpy(scaled.data.astype(np.float32)),
        )


class _Sums(torch.autograd.Function):
    """The weighted sums of a symmetric matrix's rows, when some of its weights differ from their mirror images.

    The gradient is the sums of the transposed matrix, whose rows have the same neighbours: as quick as the way
    forward, where the general one would sort all edges in every step.
    """

    @staticmethod
    def forward(ctx, x, weights, neighbours, offsets, mirror):  # noqa: PLR0913, PLR0917 - the matrix's parts
        ctx.save_for_backward(weights[mirror], neighbours, offsets)
        return _sums(x, weights, neighbours, offsets)

    @staticmethod
    def backward(ctx, of_sums):
        return _sums(of_sums.contiguous(), *ctx.saved_tensors), None, None, None, None


def _sums(x: Tensor, weights: Tensor, neighbours: Tensor, offsets: Tensor) -> Tensor:
    return F.embedding_bag(neighbours, x, offsets, mode="sum", per_sample_weights=weights.to(x.dtype))


class GraphStep(nn.Module):
    """x + A x for the matrix A of the edges. In training each edge is left out with ``dropout``, and the others count
    for more, so that the sum stays as large."""

    def __init__(self, items: int, edges: int, dropout: float) -> None:
        super().__init__()
        self.items, self.dropout = items, dropout
        self.register_buffer("neighbours", torch.zeros(edges, dtype=torch.int64))
        self.register_buffer("offsets", torch.zeros(items, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(edges))
        self.register_buffer("mirror", torch.zeros(edges, dtype=torch.int64), persistent=False)  # for training alone

    def fill(self, edges: Edges) -> None:
        for name, values in edges._asdict().items():
            getattr(self, name).copy_(values)
        self.mirror.copy_(edges.neighbours.argsort(stable=True))  # of row i's edge to j, the place of row j's to i

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """x: (n, size); ids: (n,), of which those below ``items`` are all of 0 … items - 1, in order."""
        weights = self.weights
        if self.training and self.dropout:
            kept = torch.rand(weights.shape, device=weights.device) >= self.dropout
            weights = weights * kept / (1 - self.dropout)
        own = x if len(x) == self.items else x[ids < self.items]
        near = _Sums.apply(own, weights, self.neighbours, self.offsets, self.mirror)
        return x + near if len(x) == self.items else x.index_add(0, (ids < self.items).nonzero().squeeze(1), near)
