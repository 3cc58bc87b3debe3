"""The training loss: an exact softmax over the catalogue."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_loss(scores: Tensor, targets: Tensor, own: Tensor) -> Tensor:
    """Mean cross-entropy of each target against the whole catalogue but the user's own other items.

    A user's other items are no evidence against themselves, and are never ranked for the user either. Summed in
    float32 whatever the scores' type is.

    Args:
        scores: (n, items).
        targets: (n,) places of the items to be predicted.
        own: (n, length) places of all the user's items; padding is ``items``.

    Returns:
        A scalar; n must not be 0, whose mean would be NaN.
    """
    own = torch.where(own < scores.shape[1], own, targets[:, None])  # padding: harmless, since the target is put back
    wanted = scores.gather(1, targets[:, None])  # (n, 1)
    others = scores.scatter(1, own, -math.inf).scatter_(1, targets[:, None], wanted)
    return F.cross_entropy(others.float(), targets)
