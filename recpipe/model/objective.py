"""What a batch is trained towards: every place of a history predicts the item that came next."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from recpipe.model.examples import Sequences
from recpipe.model.histories import Histories
from recpipe.model.items import Items
from recpipe.model.losses import SAMPLED, softmax_loss
from recpipe.model.negatives import SHARES, Sampler
from recpipe.model.towers import TwoTower
from recpipe.model_settings import ModelSettings
from recpipe.tables import INTERACTION_TYPES, TYPE_CODES

Asked = Sequence[tuple[Histories, Tensor]]
"""Histories, and which of their users x length places predict something."""


@dataclass
class Objective:
    model: TwoTower
    items: Items
    settings: ModelSettings
    sampler: Sampler | None  # None: all items are negatives
    newest_day: int  # of all sequences, days since 1970-01-01
    had_by: Tensor  # codes of the types of event by which a user has an item

    @classmethod
    def of(
        cls,
        model: TwoTower,
        items: Items,
        settings: ModelSettings,
        sequences: Sequences,
        had_by: Collection[str] = INTERACTION_TYPES,
    ) -> Self:
        """For training on ``sequences`` (n, length + 1) of places, padding ``len(items.ids)``."""
        count, sampler = len(items.ids), None
        if settings.loss != "softmax":
            rows = torch.from_numpy(sequences.items).to(items.ids.device)
            targets = rows[:, 1:][(rows[:, :-1] < count) & (rows[:, 1:] < count)]
            shares = SHARES["streaming" if settings.logq == "streaming" else "counts"](targets, count)
            sampler = Sampler(settings.sampler, settings.negatives, count, shares)
        codes = torch.tensor([TYPE_CODES[name] for name in had_by], device=items.ids.device)
        return cls(model, items, settings, sampler, int(sequences.days.max(initial=0)), codes)

    def learned_shares(self) -> dict[str, Tensor]:
        """What the sampler knows of the items' shares, by name; it changes on the way."""
        return {} if self.sampler is None else vars(self.sampler.shares)

    def loss(self, batch: Sequence[Histories]) -> tuple[Tensor, int] | None:
        """The mean loss of a batch, in groups of any lengths, and of how many predictions; None where nothing can be
        predicted.
        """
        padding, device = len(self.items.ids), self.items.ids.device
        widest = max((group.rows.shape[1] for group in batch), default=0)
        asked, wanted = [], []
        for group in batch:
            follows = (group.rows[:, :-1] < padding) & (group.rows[:, 1:] < padding)  # each place predicts the next
            places = follows.flatten().nonzero().squeeze(1).to(device)  # (n,), found before a GPU could be waited for
            if len(places):
                rows, days, types, attributes = group.to(device)
                had = torch.where(torch.isin(types, self.had_by), rows, padding)  # what was only viewed may be ranked
                own = F.pad(had, (widest - rows.shape[1], 0), value=padding)[places // follows.shape[1]]
                wanted.append((rows[:, 1:].flatten()[places], own, days[:, 1:].flatten()[places]))
                asked.append((Histories(rows[:, :-1], days[:, :-1], types[:, :-1], attributes), places))
        if not asked:
            return None
        targets, own, days = (torch.cat(each) for each in zip(*wanted, strict=True))  # (n,), (n, widest), (n,)
        over = self._over_all if self.sampler is None else self._over_sampled
        return over(asked, targets, own, self._weights(days)), len(targets)

    def _over_all(self, asked: Asked, targets: Tensor, own: Tensor, weights: Tensor | None) -> Tensor:
        catalogue = self.model.catalogue(self.items)  # (items + 1, size)
        users = torch.cat([self.model.users(catalogue, *histories).flatten(0, 1)[at] for histories, at in asked])
        sides = users, self.model.candidates(catalogue), self.model.bias(self.items)
        return softmax_loss(*sides, targets, own, weights=weights, dtype=getattr(torch, self.settings.precision))

    def _over_sampled(self, asked: Asked, targets: Tensor, own: Tensor, weights: Tensor | None) -> Tensor:
        (places, log_expected), padding = self.sampler.draw(targets), len(self.items.ids)
        if self.settings.hardest:
            places = places.unique()  # else the hardest would be copies of one; the settings let no logQ correct them
        if self.model.graph is None:  # then the item tower need not read the others
            inputs = [histories.rows[histories.rows < padding] for histories, _ in asked]
            used = torch.cat([*inputs, targets, places]).unique()
        else:
            used = torch.arange(padding, device=targets.device)
        items = self.items.take(used)
        catalogue, bias = self.model.catalogue(items), self.model.bias(items)
        users = torch.cat(
            [
                self.model.users(catalogue, torch.searchsorted(used, rows.contiguous()), *others).flatten(0, 1)[at]
                for (rows, *others), at in asked  # padding comes last in both
            ]
        )  # (n, size)
        sides = torch.cat([self.model.candidates(catalogue), bias[:, None]], dim=1)
        # embedding, not indexing, whose gradient several threads add up in an order of their own
        right, wrong = (F.embedding(torch.searchsorted(used, these), sides) for these in (targets, places))
        right_scores = (users * right[:, :-1]).sum(dim=1) + right[:, -1]  # (n,)
        wrong_scores = users @ wrong[:, :-1].T + wrong[:, -1]  # (n, negatives)
        if self.settings.loss == "sampled_softmax" and self.settings.logq != "none":  # it corrects a softmax's sum
            wrong_scores = wrong_scores - log_expected
        own = torch.cat([own, targets[:, None]], dim=1)
        wrong_scores = wrong_scores.masked_fill(_among(places, own), -math.inf)
        if self.settings.hardest:
            wrong_scores = wrong_scores.topk(min(self.settings.hardest, wrong_scores.shape[1]), dim=1).values
        return SAMPLED[self.settings.loss](right_scores, wrong_scores, weights)

    def _weights(self, days: Tensor) -> Tensor | None:
        half_life = self.settings.half_life_days
        return None if half_life is None else 0.5 ** ((self.newest_day - days).clamp(min=0) / half_life)


def _among(places: Tensor, own: Tensor) -> Tensor:
    """(n, places): whether an item is one of the row's own."""
    ascending = own.sort(dim=1).values
    wanted = places.expand(len(own), -1).contiguous()
    at = torch.searchsorted(ascending, wanted).clamp(max=own.shape[1] - 1)
    return ascending.gather(1, at) == wanted
