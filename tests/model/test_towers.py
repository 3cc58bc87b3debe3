import pytest
import torch

from recpipe.model.towers import GAP_BUCKETS, TowerConfig, TwoTower, gap_buckets

ITEMS, LENGTH = 7, 5


@pytest.fixture
def model() -> TwoTower:
    torch.manual_seed(3)
    config = TowerConfig(
        items=ITEMS, history_length=LENGTH, embedding_size=8, blocks=2, heads=2, dropout=0.5, item_dropout=0.5
    )
    model = TwoTower(config).eval()
    for parameter in model.parameters():  # biases start at 0, where a mistake in them would not show
        torch.nn.init.normal_(parameter, std=0.5)
    return model


ONE = torch.tensor([[ITEMS, ITEMS, 3, 1, 4]])
DAYS = torch.tensor([[0, 0, 100, 101, 150]])


def test_a_place_knows_nothing_of_later_items(model):
    changed = ONE.clone()
    changed[0, -1] = 6
    before, after = model.users(ONE, DAYS), model.users(changed, DAYS)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert not torch.allclose(before[:, -1], after[:, -1])


def test_padding_changes_nothing(model):
    short = model.users(ONE[:, 2:], DAYS[:, 2:])
    torch.testing.assert_close(model.users(ONE, DAYS)[:, 2:], short)


def test_the_order_of_the_history_counts(model):
    swapped = torch.tensor([[ITEMS, ITEMS, 1, 3, 4]])
    assert not torch.allclose(model.users(ONE, DAYS)[:, -1], model.users(swapped, DAYS)[:, -1])


def test_time_gaps_count_and_the_calendar_does_not(model):
    torch.testing.assert_close(model.users(ONE, DAYS + 1000)[:, 2:], model.users(ONE, DAYS)[:, 2:])
    assert not torch.allclose(model.users(ONE, DAYS)[:, -1], model.users(ONE, torch.zeros_like(DAYS))[:, -1])


def test_an_empty_history_is_finite(model):
    nothing = torch.full((2, LENGTH), ITEMS)
    assert torch.isfinite(model.users(nothing, torch.zeros_like(nothing))).all()


def test_stored_vectors_give_the_score_as_a_plain_dot_product(model):
    scores = model.scores(model.users(ONE, DAYS)[:, -1])  # (1, items)
    torch.testing.assert_close(model.user_vectors(ONE, DAYS) @ model.item_vectors().T, scores)
    assert model.user_vectors(ONE, DAYS).shape == (1, 9)
    assert model.item_vectors().shape == (ITEMS, 9)


def test_the_score_is_the_cosine_over_the_temperature_plus_the_bias(model):
    cosine = (model.scores(model.users(ONE, DAYS)[:, -1]) - model.item_bias) / model.log_scale.exp()
    assert cosine.abs().max() <= 1
    lengths = model.users(ONE, DAYS).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, model.log_scale.exp().item()))


def test_gaps_fall_into_buckets_by_powers_of_two():
    days = torch.tensor([[0, 1, 4, 10_000]])
    assert gap_buckets(days)[0].tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [3, 2, 0, 0],
        [GAP_BUCKETS - 1] * 3 + [0],
    ]
