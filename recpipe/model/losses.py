"""Training losses: an exact softmax over the catalogue, and losses over sampled negatives.

All give a mean over the predictions, weighted by ``weights`` (n,) if there are some. Sums are taken in float32.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_AT_ONCE = {"cpu": 256, "cuda": 4096}
"""Predictions whose scores are held at a time: few enough for a processor's cache at tens of thousands of items, and
enough to keep a GPU busy."""


def softmax_loss(  # noqa: PLR0913 - the two sides of the product, and what is right and what is left out
    users: Tensor,
    items: Tensor,
    bias: Tensor,
    targets: Tensor,
    own: Tensor,
    *,
    weights: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Mean cross-entropy of each target against the whole catalogue but the user's own other items.

    A user's other items are no evidence against themselves, and are never ranked for the user either.

    The scores of all predictions never stand in memory at once: they are made, and their gradient is, a few rows at a
    time (as in the fused linear cross-entropy of Liger Kernel, Hsu et al., 2024).

    Args:
        users: (n, size); n must not be 0, whose mean would be NaN.
        items: (items, size).
        bias: (items,), added to the scores.
        targets: (n,) places of the items to be predicted.
        own: (n, length) places of all the user's items; padding is ``items``.
        dtype: of the products.

    Returns:
        A scalar.
    """
    return _Softmax.apply(users, items, bias, targets, own, shares_of(weights, targets), dtype)


def sampled_softmax_loss(right: Tensor, wrong: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of each target against its negatives.

    Args:
        right: (n,) scores of the targets.
        wrong: (n, negatives) scores of the negatives, corrected by logQ; -inf for one that does not count.
    """
    scores = torch.cat([right[:, None], wrong], dim=1).float()
    return _mean(scores.logsumexp(dim=1) - scores[:, 0], weights)


def bpr_loss(right: Tensor, wrong: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of -log sigmoid(right - wrong) over the negatives (Rendle et al., 2009). Arguments as above."""
    counts = wrong > -math.inf
    each = F.softplus(torch.where(counts, wrong, 0).float() - right[:, None].float()) * counts
    return _mean(each.sum(dim=1) / counts.sum(dim=1).clamp(min=1), weights)


def bce_loss(right: Tensor, wrong: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of the target, and its mean over the negatives. Arguments as above."""
    counts = wrong > -math.inf
    each = F.softplus(torch.where(counts, wrong, 0).float()) * counts
    return _mean(F.softplus(-right.float()) + each.sum(dim=1) / counts.sum(dim=1).clamp(min=1), weights)


SAMPLED = {"sampled_softmax": sampled_softmax_loss, "bpr": bpr_loss, "bce": bce_loss}


def shares_of(weights: Tensor | None, targets: Tensor) -> Tensor:
    """(n,) float32 that sum up to 1: how much each prediction counts."""
    if weights is None:
        return torch.full(targets.shape, 1 / len(targets), dtype=torch.float32, device=targets.device)
    return weights.float() / weights.sum()


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return (losses * shares_of(weights, losses)).sum()


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, users, items, bias, targets, own, shares, dtype):  # noqa: PLR0913, PLR0917 - see `softmax_loss`
        of_users, of_items, of_bias = (torch.zeros_like(side, dtype=torch.float32) for side in (users, items, bias))
        left, right, total = users.to(dtype), items.to(dtype), users.new_zeros((), dtype=torch.float32)
        own = torch.where(own < len(items), own, targets[:, None])  # padding: harmless, as the target is put back
        at_once = ROWS_AT_ONCE[users.device.type]
        for first in range(0, len(users), at_once):
            rows = slice(first, first + at_once)
            scores, target = (left[rows] @ right.T).float().add_(bias), targets[rows, None]
            wanted = scores.gather(1, target)  # (rows, 1)
            scores.scatter_(1, own[rows], -math.inf).scatter_(1, target, wanted)
            of_all = scores.logsumexp(dim=1, keepdim=True)
            total += ((of_all - wanted)[:, 0] * shares[rows]).sum()
            of_scores = scores.sub_(of_all).exp_().scatter_add_(1, target, -torch.ones_like(wanted))
            of_scores *= shares[rows, None]
            of_bias += of_scores.sum(dim=0)
            of_scores = of_scores.to(dtype)
            of_users[rows] = (of_scores @ right).float()
            of_items += (of_scores.T @ left[rows]).float()
        ctx.save_for_backward(of_users, of_items, of_bias)
        ctx.types = users.dtype, items.dtype, bias.dtype
        return total

    @staticmethod
    def backward(ctx, of_loss):
        gradients = (of_loss * gradient for gradient in ctx.saved_tensors)
        return *(gradient.to(kind) for gradient, kind in zip(gradients, ctx.types, strict=True)), None, None, None, None
