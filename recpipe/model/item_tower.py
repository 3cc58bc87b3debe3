"""The item tower: an item's id and what is known of it, each as a vector, fused into one."""

import torch
from torch import Tensor, nn

from recpipe.model.item_encoders import ENCODERS, embedding
from recpipe.model.items import Items, ItemTowerConfig


class Sum(nn.Module):
    """parts: (n, parts, size); present: (n, parts). What is missing adds nothing. So do all fusions: (n, size)."""

    def __init__(self, parts: int, size: int) -> None:
        super().__init__()

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        return (parts * present[..., None]).sum(dim=1)


class Concat(nn.Module):
    def __init__(self, parts: int, size: int) -> None:
        super().__init__()
        self.out = nn.Linear(parts * size, size, bias=False)  # else what nobody knows would have a vector

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        return self.out((parts * present[..., None]).flatten(1))


class Gated(nn.Module):
    """Each part weighed, number by number, by what all the parts say."""

    def __init__(self, parts: int, size: int) -> None:
        super().__init__()
        self.gates = nn.Linear(parts * size, parts * size)

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        there = parts * present[..., None]
        gates = 2 * self.gates(there.flatten(1)).sigmoid().view_as(parts)
        return (gates * there).sum(dim=1)


class AttentionFusion(nn.Module):
    """Parts weighed by a learned question to each; the weights of those that are there add up to 1."""

    def __init__(self, parts: int, size: int) -> None:
        super().__init__()
        self.question = nn.Linear(size, 1)
        self.kind = nn.Parameter(torch.zeros(parts))

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        logits = self.question(parts).squeeze(-1) + self.kind  # (n, parts)
        weights = logits.masked_fill(~present, -1e9).softmax(dim=1) * present
        return (weights[..., None] * parts).sum(dim=1)


FUSIONS = {"sum": Sum, "concat": Concat, "gated": Gated, "attention": AttentionFusion}


class ItemTower(nn.Module):
    """One tower for the items of a history and for those to be ranked: what an item says about its buyer, and to whom
    it is shown.

    In training an item's id is left out at times (``id_dropout``), so that its content learns to stand alone: then an
    item without an id, which nobody had yet, gets a vector of the same kind.
    """

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict({name: ENCODERS[name](config) for name in config.inputs if name != "id"})
        self.ids = embedding(config.items, config.size, padding=config.items) if "id" in config.inputs else None
        self.fusion = FUSIONS[config.fusion](len(config.inputs), config.size)

    def forward(self, items: Items) -> Tensor:
        """(n, size); zeros for an item of which nothing is known."""
        parts, present = [], []
        for encoder in self.encoders.values():
            part, has_it = encoder(items)
            parts.append(part)
            present.append(has_it)
        if self.ids is not None:
            part, has_it = self._of_ids(items.ids, present)
            parts.append(part)
            present.append(has_it)
        return self.fusion(torch.stack(parts, dim=1), torch.stack(present, dim=1))

    def _of_ids(self, ids: Tensor, others: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(n, size) vectors of the ids, and (n,) whether they count.

        In training those that are not left out count for more, so that an item's vector is on average what it is when
        ranked (Srivastava et al., "Dropout", 2014, section 10); an item of which nothing else is known keeps its id.
        """
        vectors, has_id, dropped = self.ids(ids), ids < self.config.items, self.config.id_dropout
        if not self.training or dropped == 0 or not others:
            return vectors, has_id
        may_go = torch.stack(others).any(dim=0)
        kept = torch.rand(ids.shape, device=ids.device) >= dropped
        return vectors * torch.where(may_go, 1 / (1 - dropped), 1.0)[:, None], has_id & (kept | ~may_go)
