"""User towers: what each place of a history knows of its user, from itself and the places before.

All take x (batch, length, size), days (batch, length) since 1970-01-01 and known (batch, length), which is False for
padding on the left, and give (batch, length, size). Padding and the length of a batch change nothing.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recpipe.model.item_encoders import learned_of, summed

GAP_BUCKETS = 14
"""Time gaps by powers of two of days: 0, 1, 2-3, 4-7, …, 4096 and more."""


@dataclass(frozen=True)
class UserTowerConfig:
    kind: str  # a key of `USER_TOWERS`
    size: int
    history_length: int
    blocks: int
    heads: int
    dropout: float
    time_gaps: bool
    attributes: int  # their numbers go from 1 to this; 0: the user's are not read


class Recency(nn.Module):
    """How much a place counts for a later one: learned by the places between them and, if wanted, by the days.

    Relative positions (Shaw et al., 2018) make the left padding and the length of the batch irrelevant.
    """

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(config.heads, config.history_length))
        self.gap = nn.Parameter(torch.zeros(GAP_BUCKETS, config.heads)) if config.time_gaps else None

    def forward(self, gaps: Tensor | None, length: int) -> Tensor:
        """gaps: (batch, length, length) buckets, None if they are not read. Gives logits (batch or 1, heads, length,
        length)."""
        place = torch.arange(length, device=self.position.device)
        distance = (place[:, None] - place[None, :]).clamp(min=0)  # (length, length)
        # embedding, not indexing: its gradient is summed in parallel and still in a fixed order
        bias = F.embedding(distance, self.position.T).permute(2, 0, 1)[None]
        if gaps is None:
            return bias
        return bias + F.embedding(gaps, self.gap).permute(0, 3, 1, 2)


class Attention(nn.Module):
    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query_key_value = nn.Linear(config.size, 3 * config.size)
        self.out = nn.Linear(config.size, config.size)
        self.recency = Recency(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, gaps: Tensor | None, allowed: Tensor) -> Tensor:
        """gaps: (batch, length, length) buckets, or None; allowed: (batch, length, length)."""
        batch, length, size = x.shape
        parts = self.query_key_value(x).view(batch, length, 3, self.heads, size // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, size / heads)
        logits = query @ key.transpose(-2, -1) / math.sqrt(size // self.heads) + self.recency(gaps, length)
        weights = logits.masked_fill(~allowed[:, None], -math.inf).softmax(dim=-1)
        mixed = self.dropout(weights) @ value  # (batch, heads, length, size / heads)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, size))


class Block(nn.Module):
    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(config.size), Attention(config)
        self.feed_norm, self.feed = nn.LayerNorm(config.size), feed_forward(config.size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, gaps: Tensor | None, allowed: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), gaps, allowed))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class AttentionTower(nn.Module):
    """Causal self-attention, normed before each part: SASRec (Kang and McAuley, 2018) with relative positions."""

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))

    def forward(self, x: Tensor, days: Tensor, known: Tensor) -> Tensor:
        gaps, allowed = gap_buckets(days) if self.config.time_gaps else None, causal(known)
        for block in self.blocks:
            x = block(x, gaps, allowed)
        return x


class PooledTower(nn.Module):
    """The mean of the history, weighted by recency, through a perceptron of ``blocks`` layers: a deep averaging network
    (Iyyer et al., 2015), and without layers FISM (Kabbur et al., 2013) with learned weights."""

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.recency = Recency(config)
        self.dropout = nn.Dropout(config.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(config.size) for _ in range(config.blocks))
        self.layers = nn.ModuleList(feed_forward(config.size) for _ in range(config.blocks))

    def forward(self, x: Tensor, days: Tensor, known: Tensor) -> Tensor:
        gaps = gap_buckets(days) if self.config.time_gaps else None
        logits = self.recency(gaps, x.shape[1]).mean(dim=1)  # (batch or 1, length, length)
        x = logits.masked_fill(~causal(known), -math.inf).softmax(dim=-1) @ x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + self.dropout(layer(norm(x)))
        return x


class RecurrentTower(nn.Module):
    """A GRU (GRU4Rec, Hidasi et al., 2016) or an LSTM; the days since the item before are a part of each input."""

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[config.kind]
        self.cells = cell(config.size, config.size, num_layers=config.blocks, batch_first=True)
        self.gap = nn.Embedding(GAP_BUCKETS, config.size) if config.time_gaps else None
        self.dropout = nn.Dropout(config.dropout)
        if self.gap is not None:
            nn.init.zeros_(self.gap.weight)  # where a gap that nobody had in training stays

    def forward(self, x: Tensor, days: Tensor, known: Tensor) -> Tensor:
        if self.gap is not None:
            before = torch.cat([days[:, :1], days[:, :-1]], dim=1)
            has_before = torch.cat([torch.zeros_like(known[:, :1]), known[:, :-1]], dim=1)
            x = x + self.gap(buckets(days - before)) * (known & has_before)[..., None]
        place, size = torch.arange(x.shape[1], device=x.device), x.shape[2]
        padding = (~known).sum(dim=1, keepdim=True)  # (batch, 1)
        first = (place + padding).clamp(max=x.shape[1] - 1)[..., None].expand(-1, -1, size)
        read, _ = self.cells(x.gather(1, first))  # from each history's first item on
        back = (place - padding).clamp(min=0)[..., None].expand(-1, -1, size)
        return self.dropout(read.gather(1, back))


class Attributes(nn.Module):
    """The sum of the vectors of a user's attributes over the root of their number; zeros for a user without any.

    In training those of some users are left out, so that a history also learns to stand alone. A vector starts at
    zero, where that of an attribute which nobody has who is trained on stays.
    """

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.attributes + 1, config.size, padding_idx=0)
        nn.init.zeros_(self.embedding.weight)
        self.dropout = config.dropout

    def forward(self, attributes: Tensor) -> Tensor:
        """attributes: (batch, most of a user), 0 unknown. Gives (batch, size)."""
        known = learned_of(attributes, self.embedding)
        if self.training and self.dropout:
            known = known * (torch.rand(len(known), 1, device=known.device) >= self.dropout)
        return summed(known, self.embedding, over_root=True)


USER_TOWERS = {"attention": AttentionTower, "gru": RecurrentTower, "lstm": RecurrentTower, "mlp": PooledTower}


def user_tower(config: UserTowerConfig) -> nn.Module:
    return USER_TOWERS[config.kind](config)


def feed_forward(size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))


def causal(known: Tensor) -> Tensor:
    """(batch, length) to (batch, length, length): the places that each may look at, itself and known ones before."""
    length = known.shape[1]
    itself = torch.eye(length, dtype=torch.bool, device=known.device)  # else padding attends to nothing: NaN
    return (itself.new_ones(length, length).tril() & known[:, None, :]) | itself


def gap_buckets(days: Tensor) -> Tensor:
    """(batch, length) days to (batch, length, length) buckets of the days from each place back to the ones before."""
    return buckets(days[:, :, None] - days[:, None, :])


def buckets(gaps: Tensor) -> Tensor:
    # frexp's exponent is the number of binary digits: exact at powers of two, where a logarithm may round.
    return torch.frexp(gaps.clamp(min=0).float()).exponent.clamp(max=GAP_BUCKETS - 1).long()
