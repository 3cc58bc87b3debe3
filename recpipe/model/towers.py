"""The two towers: a user is what an attention block makes of the history, an item is its embedding and its bias.

Both meet in a dot product: the cosine of the two vectors over a learned temperature, plus the item's bias.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAP_BUCKETS = 14
"""Time gaps by powers of two of days: 0, 1, 2-3, 4-7, …, 4096 and more."""
START_TEMPERATURE = 0.1


@dataclass(frozen=True)
class TowerConfig:
    """The shape of a model. ``items`` is the number of known items; place ``items`` is padding."""

    items: int
    history_length: int
    embedding_size: int
    blocks: int
    heads: int
    dropout: float
    item_dropout: float


class Attention(nn.Module):
    """Causal self-attention with a learned bias by relative position and by the days between two items.

    Relative positions (Shaw et al., 2018) make the left padding and the length of the batch irrelevant.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query_key_value = nn.Linear(config.embedding_size, 3 * config.embedding_size)
        self.out = nn.Linear(config.embedding_size, config.embedding_size)
        self.position_bias = nn.Parameter(torch.zeros(config.heads, config.history_length))
        self.gap_bias = nn.Parameter(torch.zeros(GAP_BUCKETS, config.heads))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, gaps: Tensor, allowed: Tensor) -> Tensor:
        """x: (batch, length, size); gaps: (batch, length, length) buckets; allowed: (batch, length, length)."""
        batch, length, size = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, size // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, size / heads)
        place = torch.arange(length, device=x.device)
        distance = (place[:, None] - place[None, :]).clamp(min=0)  # (length, length)
        # embedding, not indexing: its gradient is summed in parallel and still in a fixed order
        gap_bias = F.embedding(gaps, self.gap_bias).permute(0, 3, 1, 2)  # (batch, heads, length, length)
        bias = self.position_bias[:, distance] + gap_bias
        logits = query @ key.transpose(-2, -1) / math.sqrt(size // self.heads) + bias
        weights = logits.masked_fill(~allowed[:, None], -math.inf).softmax(dim=-1)
        mixed = self.dropout(weights) @ value  # (batch, heads, length, size / heads)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, size))


class Block(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.attention_norm, self.attention = nn.LayerNorm(size), Attention(config)
        self.feed_norm = nn.LayerNorm(size)
        self.feed = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, gaps: Tensor, allowed: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), gaps, allowed))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class TwoTower(nn.Module):
    """Items are given by their place 0 … items - 1 among the known items; place ``items`` is padding."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.embedding_size
        # One embedding for both towers: what an item says about its buyer, and to whom it is shown.
        self.item_embedding = nn.Embedding(config.items + 1, size, padding_idx=config.items)
        self.item_bias = nn.Parameter(torch.zeros(config.items))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(START_TEMPERATURE)))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.item_embedding.weight[: config.items], std=size**-0.5)

    def users(self, items: Tensor, days: Tensor) -> Tensor:
        """What each place of a history knows of its user, from itself and the places before.

        Args:
            items: (batch, length), padded on the left.
            days: (batch, length), days since 1970-01-01.

        Returns:
            (batch, length, size) of length 1 over the temperature.
        """
        known = items < self.config.items  # (batch, length)
        causal = torch.ones(items.shape[1], items.shape[1], dtype=torch.bool, device=items.device).tril()
        itself = torch.eye(
            items.shape[1], dtype=torch.bool, device=items.device
        )  # else padding attends to nothing: NaN
        allowed = (causal & known[:, None, :]) | itself  # (batch, length, length)
        gaps = gap_buckets(days)
        x = self.dropout(self._without_some(self.item_embedding(items)))
        for block in self.blocks:
            x = block(x, gaps, allowed)
        return F.normalize(self.norm(x), dim=-1) * self.log_scale.exp()

    def items(self) -> Tensor:
        """(items, size), each of length 1."""
        return F.normalize(self.item_embedding.weight[: self.config.items], dim=-1)

    def scores(self, users: Tensor) -> Tensor:
        """users: (n, size) from ``users``. Gives (n, items)."""
        return users @ self.items().T + self.item_bias

    def user_vectors(self, items: Tensor, days: Tensor) -> Tensor:
        """What is stored of a user: (batch, size + 1), whose last number is 1 for the item's bias."""
        last = self.users(items, days)[:, -1]  # (batch, size); padding is on the left
        return torch.cat([last, torch.ones_like(last[:, :1])], dim=1)

    def item_vectors(self) -> Tensor:
        """What is stored of an item: (items, size + 1), whose last number is its bias."""
        return torch.cat([self.items(), self.item_bias[:, None]], dim=1)

    def _without_some(self, x: Tensor) -> Tensor:
        """Drop whole items of the history in training, so that no single one is leant on."""
        if not self.training or self.config.item_dropout == 0:
            return x
        return x * (torch.rand(x.shape[:2], device=x.device) >= self.config.item_dropout)[..., None]


def gap_buckets(days: Tensor) -> Tensor:
    """(batch, length) days to (batch, length, length) buckets of the days from each place back to the ones before."""
    gaps = (days[:, :, None] - days[:, None, :]).clamp(min=0)
    # frexp's exponent is the number of binary digits: exact at powers of two, where a logarithm may round.
    return torch.frexp(gaps.float()).exponent.clamp(max=GAP_BUCKETS - 1).long()
