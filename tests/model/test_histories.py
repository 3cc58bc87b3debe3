import numpy as np
import torch

from recpipe.model.assembly import new_model
from recpipe.model.content import ItemContent
from recpipe.model.examples import Sequences
from recpipe.model.histories import Histories, in_blocks, in_groups
from recpipe.model.items import Items
from recpipe.model.objective import Objective
from recpipe.model_settings import ModelSettings
from tests.model.small_models import of_strangers

PADDING = 30


def of_lengths(*lengths: int) -> Sequences:
    """Row i has the items i, i + 1, …, on the days 0, 1, …"""
    items = np.full((len(lengths), 20), PADDING)
    days = np.zeros_like(items)
    for row, length in enumerate(lengths):
        items[row, 20 - length :] = row + np.arange(length)
        days[row, 20 - length :] = np.arange(length)
    return of_strangers(items, days, (items < PADDING).astype(np.int32))


def test_columns_that_are_padding_in_every_row_are_cut_off():
    rows, days, types, _ = Histories.of(of_lengths(2, 3), PADDING)
    assert rows.tolist() == [[PADDING, 0, 1], [1, 2, 3]]
    assert days.tolist() == [[0, 0, 1], [0, 1, 2]]
    assert types.tolist() == [[0, 1, 1], [1, 1, 1]]


def test_no_group_is_twice_as_long_as_its_shortest_and_every_row_is_there_once():
    lengths = (0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 20)
    groups = in_groups(of_lengths(*lengths), PADDING)
    assert [group.rows.shape for group in groups] == [(3, 2), (2, 4), (2, 8), (2, 16), (2, 20)]
    found = [row[row < PADDING].tolist() for group in groups for row in group.rows]
    assert found == [list(range(row, row + length)) for row, length in enumerate(lengths)]


def test_blocks_have_every_row_once_and_the_shortest_first():
    found = list(in_blocks(of_lengths(9, 2, 5, 3), PADDING, 2))
    assert [rows.tolist() for rows, _ in found] == [[1, 3], [2, 0]]
    assert [block.rows.shape for _, block in found] == [(2, 3), (2, 9)]


def test_groups_change_no_loss_and_no_gradient():
    settings = ModelSettings(
        embedding_size=8, item_inputs=("id",), dropout=0, item_dropout=0, edge_dropout=0, precision="float32"
    )
    sequences, content = of_lengths(1, 2, 7, 3, 12, 20), ItemContent.none(PADDING)
    found = []
    for grouped in (in_groups(sequences, PADDING), [Histories.of(sequences, PADDING)]):
        torch.manual_seed(1)
        model = new_model(settings, content, sequences, torch.device("cpu"))
        objective = Objective.of(model, Items.of(np.arange(PADDING), content), settings, sequences)
        loss, count = objective.loss(grouped)
        loss.backward()
        found.append((loss, count, [parameter.grad for parameter in model.parameters()]))
    (one, count, gradients), (other, other_count, other_gradients) = found
    assert count == other_count == 0 + 1 + 6 + 2 + 11 + 19
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(gradients, other_gradients)
