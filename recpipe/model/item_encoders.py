"""What an item tower makes of each thing that is known of an item."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recpipe.model.items import Items, ItemTowerConfig
from recpipe.model.pictures import CHANNELS
from recpipe.model.sentences import SENTENCE_SIZE


class Categories(nn.Module):
    """The sum of the vectors of all of an item's categories (as of features in LightFM, Kula, 2015)."""

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.embedding = embedding(config.categories, config.size)

    def forward(self, items: Items) -> tuple[Tensor, Tensor]:
        known = learned_of(items.categories, self.embedding)
        return summed(known, self.embedding), (known > 0).any(dim=1)


class Number(nn.Module):
    """The vector of a number of which an item has one, 0 for none; ``name`` is the field of `Items`."""

    def __init__(self, name: str, count: int, size: int) -> None:
        super().__init__()
        self.name, self.embedding = name, embedding(count, size)

    def forward(self, items: Items) -> tuple[Tensor, Tensor]:
        known = learned_of(getattr(items, self.name), self.embedding)
        return self.embedding(known), known > 0


class TextMean(nn.Module):
    """The sum of the words' vectors over the root of their number: what a large catalogue can afford at each step."""

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.embedding = embedding(config.words, config.size)

    def forward(self, tokens: Tensor) -> Tensor:
        return summed(tokens, self.embedding, over_root=True)


class TextCnn(nn.Module):
    """Convolutions over two and three words, the strongest answer of each filter (Kim, 2014)."""

    WIDTHS = (2, 3)

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.embedding = embedding(config.words, config.size)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.size, config.size, width, padding=width) for width in self.WIDTHS
        )  # padded so that each text also has a window without a word; else only those shorter than the longest have
        self.out = nn.Linear(len(self.WIDTHS) * config.size, config.size)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens).transpose(1, 2)  # (n, size, length)
        strongest = [convolution(x).relu().amax(dim=2) for convolution in self.convolutions]
        return self.out(torch.cat(strongest, dim=1))


class TextTransformer(nn.Module):
    """Self-attention of one layer over the words, and their mean."""

    HEADS = 2
    LONGEST = 512

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.embedding = embedding(config.words, config.size)
        self.position = nn.Parameter(torch.zeros(self.LONGEST, config.size))  # where no text of the training has one
        self.layer = nn.TransformerEncoderLayer(
            config.size, self.HEADS, 2 * config.size, config.dropout, "gelu", batch_first=True, norm_first=True
        )

    def forward(self, tokens: Tensor) -> Tensor:
        known = tokens > 0
        known = torch.cat([known[:, :1] | ~known.any(dim=1, keepdim=True), known[:, 1:]], dim=1)  # else NaN
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]
        x = self.layer(x, src_key_padding_mask=~known) * known[..., None]
        return x.sum(dim=1) / known.sum(dim=1, keepdim=True)


TEXT_ENCODERS = {"mean": TextMean, "cnn": TextCnn, "transformer": TextTransformer}


class Text(nn.Module):
    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.encoder = TEXT_ENCODERS[config.text_encoder](config)

    @property
    def embedding(self) -> nn.Embedding:
        return self.encoder.embedding

    def forward(self, items: Items) -> tuple[Tensor, Tensor]:
        lengths = (items.text > 0).sum(dim=1)  # padding is on the right, and unknown words are anywhere
        longest = max(int(lengths.max()) if len(lengths) else 0, 1)
        tokens = learned_of(items.text[:, :longest], self.embedding)
        return self.encoder(tokens), (tokens > 0).any(dim=1)


class Sentence(nn.Module):
    """A linear map of what a frozen encoder says of an item's title."""

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        self.out = nn.Linear(SENTENCE_SIZE, config.size, bias=False)
        nn.init.normal_(self.out.weight, std=config.size**-0.5)  # as long as the vector of a brand

    def forward(self, items: Items) -> tuple[Tensor, Tensor]:
        learned = self.out.weight.any()  # zeros: no item of the training had a title
        return self.out(items.sentences[items.sentence]), (items.sentence > 0) & learned


class Picture(nn.Module):
    """Three convolutions that halve the side each, and the mean over what is left; other sides are read alike."""

    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        widths = (CHANNELS, 16, 32, config.size)
        layers = [
            (nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()) for before, after in pairwise(widths)
        ]  # without a norm, which would take away how bright a picture is
        self.layers = nn.Sequential(*(layer for both in layers for layer in both))
        self.out = nn.Linear(config.size, config.size)

    def forward(self, items: Items) -> tuple[Tensor, Tensor]:
        rows, of_item = items.image.unique(return_inverse=True)
        x = self.layers(items.pixels[rows].float() / 127.5 - 1)  # (pictures, size, side / 8, side / 8)
        learned = self.out.weight.any()  # zeros: no item of the training had a picture
        return F.embedding(of_item, self.out(x.mean(dim=(2, 3)))), (items.image > 0) & learned


ENCODERS: dict[str, Callable[[ItemTowerConfig], nn.Module]] = {
    "categories": Categories,
    "brand": lambda config: Number("brand", config.brands, config.size),
    "price": lambda config: Number("price", config.price_bands, config.size),
    "text": Text,
    "sentence": Sentence,
    "image": Picture,
}
"""Each gives (n, size) vectors, and (n,) whether the item has what it reads."""


def embedding(count: int, size: int, padding: int = 0) -> nn.Embedding:
    """A table of ``count`` vectors and one of zeros, which stands at 0 or, as ``padding``, behind them."""
    table = nn.Embedding(count + 1, size, padding_idx=padding)
    nn.init.normal_(table.weight, std=size**-0.5)
    with torch.no_grad():
        table.weight[padding].zero_()
    return table


def summed(numbers: Tensor, table: nn.Embedding, *, over_root: bool = False) -> Tensor:
    """(n, most) numbers, padding 0, to (n, size): the sum of their vectors, if wanted over the root of how many."""
    total = F.embedding_bag(numbers, table.weight, mode="sum", padding_idx=0)
    return total / (numbers > 0).sum(dim=1, keepdim=True).clamp(min=1).sqrt() if over_root else total


def learned_of(numbers: Tensor, table: nn.Embedding) -> Tensor:
    """Numbers that something of the training had; another, whose vector is zero or that was given later, counts as
    none."""
    held = torch.where(numbers < table.num_embeddings, numbers, 0)
    return held if table.training else held * table.weight.any(dim=1)[held]
