"""Sampled negatives, one draw for all predictions of a batch, and how often each was to be expected in it.

The sum over the catalogue of exp(score) is estimated by that over the drawn items of exp(score) / expected count,
whose mean it is (importance sampling; Bengio and Senécal, 2008). So a score is lowered by the logarithm of the expected
count, "logQ". That of a target is not: it is always there, and not drawn.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Drawn(NamedTuple):
    places: Tensor  # (negatives,) int64; an item may be drawn several times
    log_expected: Tensor  # (negatives,) logarithm of how often the item is expected in the draw


class Counts:
    """The share of each item among all targets, counted once."""

    def __init__(self, targets: Tensor, items: int) -> None:
        counted = torch.bincount(targets, minlength=items).float()
        self.log_share = (counted / counted.sum().clamp(min=1)).clamp(min=1e-12).log()  # (items,)

    def see(self, targets: Tensor) -> None:
        """Nothing is learned from a batch."""

    def log_shares(self, places: Tensor) -> Tensor:
        return self.log_share[places]


class Streaming:
    """The share of each item, by a running mean of the predictions from one occurrence to the next (Yi et al.,
    "Sampling-bias-corrected neural modeling for large corpus item recommendations", 2019, algorithm 2, where batches
    are counted; here predictions are, whose number differs from batch to batch)."""

    RATE = 0.05

    def __init__(self, targets: Tensor, items: int) -> None:
        self.between = torch.full((items,), float(items), device=targets.device)  # as if all were alike
        self.last = torch.zeros(items, device=targets.device)
        self.seen = torch.zeros((), device=targets.device)

    def see(self, targets: Tensor) -> None:
        self.seen += len(targets)
        places, times = targets.unique(return_counts=True)
        gaps = (self.seen - self.last[places]) / times
        self.between[places] += self.RATE * (gaps - self.between[places])
        self.last[places] = self.seen

    def log_shares(self, places: Tensor) -> Tensor:
        return -self.between[places].clamp(min=1).log()


SHARES = {"counts": Counts, "streaming": Streaming}


@dataclass
class Sampler:
    """Draws ``count`` negatives: alike among all ``items`` ("uniform"), among the batch's targets ("in_batch"), or half
    of each ("mixed"; Yang et al., "Mixed negative sampling for learning two-tower neural networks", 2020).

    Of two draws together an item is expected as often as in both (the balance heuristic of Veach and Guibas, 1995).
    """

    kind: str
    count: int
    items: int
    shares: Counts | Streaming

    def draw(self, targets: Tensor) -> Drawn:
        """targets: (n,) places, all that the batch predicts."""
        self.shares.see(targets)
        of_batch = {"uniform": 0, "in_batch": self.count, "mixed": self.count // 2}[self.kind]
        uniform = self.count - of_batch
        anywhere = torch.randint(self.items, (uniform,), device=targets.device)
        chosen = targets[torch.randint(len(targets), (of_batch,), device=targets.device)]
        places = torch.cat([anywhere, chosen])
        expected = torch.full_like(places, uniform / self.items, dtype=torch.float32)
        if of_batch:
            expected = expected + of_batch * self.shares.log_shares(places).exp()
        return Drawn(places, expected.log())
