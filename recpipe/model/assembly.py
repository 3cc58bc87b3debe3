"""A model as the settings want it, as large as what it is to learn from."""

import numpy as np
import torch
from torch import nn

from recpipe.model.content import ItemContent
from recpipe.model.examples import Sequences
from recpipe.model.graph import Edges
from recpipe.model.items import ItemTowerConfig
from recpipe.model.towers import TowerConfig, TwoTower
from recpipe.model.user_towers import UserTowerConfig
from recpipe.model_settings import ModelSettings


def new_model(settings: ModelSettings, content: ItemContent, sequences: Sequences, device: torch.device) -> TwoTower:
    """A model that has learned nothing yet.

    Args:
        content: of the items that the sequences name, in the order of their places.
        sequences: (rows, history_length + 1) places, padding ``len(content)``.
    """
    edges = Edges.of(sequences.items, len(content)) if settings.graph else None
    model = TwoTower(tower_config(settings, content, sequences, edges))
    if edges is not None:
        model.graph.fill(edges)
    _silence_unused(model, content)
    return model.to(device)


@torch.no_grad()
def _silence_unused(model: TwoTower, content: ItemContent) -> None:
    """Zero the vectors of words, brands and the like that none of the items has, and what is made of titles or pictures
    if no item has one.

    Nothing would train them, and random ones would steer the items that have them later. What is zero says nothing, see
    `item_encoders`.
    """
    for name, encoder in model.item_tower.encoders.items():
        used = torch.from_numpy(np.unique(getattr(content, name)))
        if name in ("sentence", "image"):
            if not used.any():
                nn.init.zeros_(encoder.out.weight)
        else:
            kept = encoder.embedding.weight[used]
            encoder.embedding.weight.zero_()
            encoder.embedding.weight[used] = kept


def asked_in_vain(settings: ModelSettings, content: ItemContent, sequences: Sequences) -> list[str]:
    """What the settings ask for that no item or user of a training has."""
    inputs = [name for name in settings.item_inputs if name != "id" and not content.says([name]).any()]
    return inputs + ["user_attributes"] * (settings.user_attributes and not sequences.attributes.any())


def tower_config(
    settings: ModelSettings, content: ItemContent, sequences: Sequences, edges: Edges | None
) -> TowerConfig:
    return TowerConfig(
        item=ItemTowerConfig(
            size=settings.embedding_size,
            items=len(content),
            inputs=settings.item_inputs,
            text_encoder=settings.text_encoder,
            fusion=settings.fusion,
            id_dropout=settings.id_dropout,
            dropout=settings.dropout,
            categories=int(content.categories.max(initial=0)),
            brands=int(content.brand.max(initial=0)),
            price_bands=int(content.price.max(initial=0)),
            words=int(content.text.max(initial=0)),
            image_size=settings.image_size,
        ),
        user=UserTowerConfig(
            kind=settings.user_tower,
            size=settings.embedding_size,
            history_length=sequences.items.shape[1] - 1,
            blocks=settings.blocks,
            heads=settings.heads,
            dropout=settings.dropout,
            time_gaps=settings.time_gaps,
            attributes=int(sequences.attributes.max(initial=0)) if settings.user_attributes else 0,
        ),
        item_dropout=settings.item_dropout,
        event_types=settings.event_types,
        edges=None if edges is None else len(edges.weights),
        edge_dropout=settings.edge_dropout,
    )
