"""Starting a training from what a champion learned, whose items and words were other ones."""

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import ItemContent
from recpipe.model.examples import positions
from recpipe.model.items import Items
from recpipe.model.ranks import Ranks
from recpipe.model.towers import TowerConfig, TwoTower

OF_ROWS = ("items", "categories", "brands", "price_bands", "words", "edges", "attributes")
"""Parts of a model's configuration that the rows decide and not the settings."""

OF_TRAINING = ("id_dropout", "dropout", "item_dropout", "edge_dropout")
"""Parts that a trained model does not depend on."""

OF_ITEMS = ("item_bias", "item_tower.ids.weight")
"""Parameters with a row an item, in the order of the items' places."""


def warmed(model: TwoTower, known: NDArray[np.int32], content: ItemContent, start: Checkpoint, ranks: Ranks) -> bool:
    """Let a new model start from ``start``; gives whether it could, and says why not.

    Args:
        known: the new model's item numbers by place, ascending; ``content`` is theirs.
    """
    then, now = _shape(start.model.config), _shape(model.config)
    other = [f"{name} {then.get(name)} instead of {now.get(name)}" for name in now if then.get(name) != now[name]]
    if other:
        ranks.say(f"{start.model_version} has {', '.join(other)}, so the training starts cold")
        return False
    take_over(model, known, content, start)
    return True


def _shape(config: TowerConfig) -> dict[str, object]:
    """What two models must have in common for one to start from the other."""
    whole = asdict(config) | {"graph": config.edges is not None, "user_attributes": config.user.attributes > 0}
    parts = {f"{part}.{name}": value for part in ("item", "user") for name, value in whole.pop(part).items()}
    left_out = {*OF_ROWS, *OF_TRAINING}
    return {name: value for name, value in (parts | whole).items() if name.rpartition(".")[2] not in left_out}


@torch.no_grad()
def take_over(model: TwoTower, known: NDArray[np.int32], content: ItemContent, start: Checkpoint) -> None:
    """Give ``model`` what ``start`` learned; the graph stays, which is of the new rows.

    Items are found by their numbers, words and the like have theirs for ever. The id of an item that ``start`` did not
    know is zero, so that at first its vector is made from its content alone and its bias is a low one. One of which
    nothing else is known keeps its random id: all such would have one vector, and no direction to begin with. So do
    words, brands and the like keep their random vectors of which ``start`` has zeros, since none of its items had them:
    where nothing has a length, `F.normalize` has a gradient that AdamW does not forget. So do titles and pictures.
    """
    learned = start.model  # on the CPU, where it was read
    values = dict(learned.named_parameters())
    for name, parameter in model.named_parameters():
        if name not in OF_ITEMS:
            common = tuple(slice(min(sizes)) for sizes in zip(parameter.shape, values[name].shape, strict=True))
            of_start = values[name][common].to(parameter.device)
            if name.endswith(("embedding.weight", "sentence.out.weight", "image.out.weight")):  # may say nothing yet
                of_start = torch.where(of_start.any(dim=1, keepdim=True), of_start, parameter[common])
            parameter[common] = of_start
    places = positions(known, start.known, missing=len(start.known))
    model.item_bias.copy_(learned.bias(Items.of(places, content)))
    if model.item_tower.ids is not None:
        kept = np.flatnonzero((places < len(start.known)) | content.says(model.config.item.inputs))
        ids, of_old = model.item_tower.ids.weight, learned.item_tower.ids.weight  # (items + 1, size), the last row zero
        ids[torch.from_numpy(kept)] = of_old[torch.from_numpy(places[kept])].to(ids.device)
