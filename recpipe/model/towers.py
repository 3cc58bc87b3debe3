"""The two towers: a user is what a tower makes of the history, and of attributes if wanted; an item is what a tower
makes of its id and content.

Both meet in a dot product: the cosine of the two vectors over a learned temperature, plus the item's bias.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recpipe.model.graph import GraphStep
from recpipe.model.item_tower import ItemTower
from recpipe.model.items import Items, ItemTowerConfig
from recpipe.model.user_towers import Attributes, UserTowerConfig, user_tower
from recpipe.tables import TYPE_CODES

START_TEMPERATURE = 0.1


@dataclass(frozen=True)
class TowerConfig:
    """The shape of a model."""

    item: ItemTowerConfig
    user: UserTowerConfig
    item_dropout: float  # share of a history's items that are dropped whole in training
    event_types: bool
    edges: int | None  # of the graph; None: no graph step
    edge_dropout: float

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Self:
        """The configuration out of what `dataclasses.asdict` and JSON made of it."""
        item = ItemTowerConfig(**values["item"] | {"inputs": tuple(values["item"]["inputs"])})
        return cls(**values | {"item": item, "user": UserTowerConfig(**values["user"])})


class TwoTower(nn.Module):
    """Its own items are known by their place, 0 … items - 1; others by their content alone.

    Histories are given as rows of a `catalogue`, in which the last row is for padding.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        size, items = config.user.size, config.item.items
        self.item_tower = ItemTower(config.item)
        self.graph = GraphStep(items, config.edges, config.edge_dropout) if config.edges is not None else None
        self.item_bias = nn.Parameter(torch.zeros(items))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(START_TEMPERATURE)))
        self.types = nn.Embedding(len(TYPE_CODES) + 1, size, padding_idx=0) if config.event_types else None
        self.user_tower = user_tower(config.user)
        self.attributes = Attributes(config.user) if config.user.attributes else None
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(config.user.dropout)
        if self.types is not None:
            nn.init.zeros_(self.types.weight)

    def catalogue(self, items: Items) -> Tensor:
        """(items + 1, size): what the item tower makes of each, and zeros for padding."""
        x = self.item_tower(items)
        if self.graph is not None:
            x = self.graph(x, items.ids)
        return torch.cat([x, x.new_zeros(1, x.shape[1])])

    def users(self, catalogue: Tensor, rows: Tensor, days: Tensor, types: Tensor, attributes: Tensor) -> Tensor:
        """What each place of a history knows of its user, from itself and the places before, and from attributes.

        Args:
            rows: (batch, length) of the catalogue, padded on the left.
            days: (batch, length), days since 1970-01-01.
            types: (batch, length), see `tables.TYPE_CODES`.
            attributes: (batch, most of a user), 0 unknown.

        Returns:
            (batch, length, size) of length 1 over the temperature.
        """
        known = rows < len(catalogue) - 1  # (batch, length)
        x = F.embedding(rows, catalogue)
        if self.types is not None:
            x = x + self.types(types)
        x = self.user_tower(self.dropout(self._without_some(x)), days, known)
        if self.attributes is not None:
            x = x + self.attributes(attributes)[:, None]
        return F.normalize(self.norm(x), dim=-1) * self.log_scale.exp()

    def candidates(self, catalogue: Tensor) -> Tensor:
        """(items, size), each of length 1."""
        return F.normalize(catalogue[:-1], dim=-1)

    def bias(self, items: Items) -> Tensor:
        """(n,): the items' own, and for one without an id that below which a twentieth of them lies: nobody had it yet,
        and the least of all is an outlier, the further off the more items there are."""
        own = self.item_bias
        if self.training:  # where each item has one
            return F.embedding(items.ids, own[:, None])[:, 0]
        low = own.detach().kthvalue(math.ceil(len(own) / 20)).values if len(own) else own.new_zeros(())
        return F.embedding(items.ids, torch.cat([own, low[None]])[:, None])[:, 0]

    def user_vectors(self, catalogue: Tensor, rows: Tensor, days: Tensor, types: Tensor, attributes: Tensor) -> Tensor:
        """What is stored of a user: (batch, size + 1), whose last number is 1 for the item's bias."""
        last = self.users(catalogue, rows, days, types, attributes)[:, -1]  # (batch, size); padding is on the left
        return torch.cat([last, torch.ones_like(last[:, :1])], dim=1)

    def item_vectors(self, catalogue: Tensor, items: Items) -> Tensor:
        """What is stored of an item: (items, size + 1), whose last number is its bias."""
        return torch.cat([self.candidates(catalogue), self.bias(items)[:, None]], dim=1)

    def _without_some(self, x: Tensor) -> Tensor:
        """Drop whole items of the history in training, so that no single one is leant on."""
        if not self.training or self.config.item_dropout == 0:
            return x
        return x * (torch.rand(x.shape[:2], device=x.device) >= self.config.item_dropout)[..., None]
