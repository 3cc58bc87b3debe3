"""Training losses: an exact softmax over the catalogue, and losses over sampled negatives.

All give a mean over the predictions of their losses times ``weights`` (n,), if there are some. It is not divided by
the sum of the weights, else a batch of old predictions would count as much as one of new ones; AdamW does not mind how
large all of them are. Sums are taken in float32.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS_AT_ONCE = {"cpu": 256, "cuda": 4096}
"""Predictions whose scores are held at a time: few enough for a processor's cache at tens of thousands of items, and
enough to keep a GPU busy."""

TINY = 1e-37
"""A chance below this counts as this, so that its logarithm is finite."""


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
    """Mean cross-entropy of each target against the whole catalogue but the other items that the user has.

    They are no evidence against themselves, and are never ranked for the user either. An item that was only viewed may
    be ranked, so it is a negative as any other.

    The scores of all predictions never stand in memory at once: they are made, and their gradient is, a few rows at a
    time (as in the fused linear cross-entropy of Liger Kernel, Hsu et al., 2024).

    Args:
        users: (n, size); n must not be 0, whose mean would be NaN.
        items: (items, size).
        bias: (items,), added to the scores.
        targets: (n,) places of the items to be predicted.
        own: (n, length) places of all the items that the user has; padding is ``items``.
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
    """(n,) float32: how much each prediction counts, all alike 1 / n."""
    if weights is None:
        return torch.full(targets.shape, 1 / len(targets), dtype=torch.float32, device=targets.device)
    return weights.float() / len(weights)


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return (losses * shares_of(weights, losses)).sum()


class _Softmax(torch.autograd.Function):
    """Every pass over the scores costs as much as a product that makes them, so there are few: bias and weights take
    part in the products, as further columns of the two sides."""

    @staticmethod
    def forward(ctx, users, items, bias, targets, own, shares, dtype):  # noqa: PLR0913, PLR0917 - see `softmax_loss`
        with torch.autocast(users.device.type, enabled=False):
            total, *gradients = _softmax_and_gradients(users, items, bias, targets, own, shares, dtype)
        ctx.save_for_backward(*gradients)
        ctx.types = users.dtype, items.dtype, bias.dtype
        return total

    @staticmethod
    def backward(ctx, of_loss):
        gradients = (of_loss * gradient for gradient in ctx.saved_tensors)
        return *(gradient.to(kind) for gradient, kind in zip(gradients, ctx.types, strict=True)), None, None, None, None


def _softmax_and_gradients(  # noqa: PLR0913, PLR0917 - see `softmax_loss`
    users: Tensor, items: Tensor, bias: Tensor, targets: Tensor, own: Tensor, shares: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, and in float32 what it is worth to the users, the items and the bias."""
    count, size, at_once = len(users), users.shape[1], ROWS_AT_ONCE[users.device.type]
    of_users = torch.empty_like(users, dtype=torch.float32)
    of_items = users.new_zeros((len(items), size + 1), dtype=torch.float32)  # and of the bias
    total = users.new_zeros((), dtype=torch.float32)
    coarse = bias.to(dtype)
    right = torch.cat([items.to(dtype), coarse[:, None], (bias - coarse).to(dtype)[:, None]], dim=1)
    left = torch.cat([users.to(dtype), users.new_ones((count, 2), dtype=dtype)], dim=1)
    weights = shares * count  # 1 where all count alike
    weighted = torch.cat([users * weights[:, None], weights[:, None]], dim=1).to(dtype)
    own = torch.where(own < len(items), own, targets[:, None])  # padding: harmless, as the target is put back
    for first in range(0, count, at_once):
        rows = slice(first, first + at_once)
        scores = left[rows] @ right.T  # (rows, items)
        each = torch.arange(len(scores), device=scores.device)
        target = each, targets[rows]
        wanted = scores[target]
        scores[each[:, None], own[rows]] = -math.inf  # scatter_ would copy all scores
        scores[target] = wanted
        of_scores = scores.softmax(dim=1)
        chance = of_scores[target]
        total -= (chance.float().clamp(min=TINY).log() * shares[rows]).sum()
        of_scores[target] = chance - 1
        of_users[rows] = (of_scores @ right[:, :size]).float() * shares[rows, None]
        of_items += (of_scores.T @ weighted[rows]).float()
    of_items /= count
    return total, of_users, of_items[:, :size], of_items[:, size]
