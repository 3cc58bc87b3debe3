import math

import pytest
import torch
import torch.nn.functional as F

from recpipe.model import losses
from recpipe.model.losses import softmax_loss

PADDING = 4
USER = torch.tensor([[1.0]])
ITEMS = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
NO_BIAS = torch.zeros(4)


def loss_of(target: int, own: list[int], user=USER, items=ITEMS, bias=NO_BIAS, **options):
    return softmax_loss(user, items, bias, torch.tensor([target]), torch.tensor([own]), **options)


def test_the_loss_is_the_cross_entropy_over_the_catalogue():
    loss = loss_of(1, [PADDING, PADDING, 1])
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / sum(math.exp(score) for score in (1, 2, 3, 4))))


def test_the_users_other_items_are_no_negatives():
    loss = loss_of(1, [PADDING, 3, 1])
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / sum(math.exp(score) for score in (1, 2, 3))))


def test_the_bias_is_a_part_of_the_score():
    bias = torch.tensor([0.0, 0.0, 1.0, 0.0])
    loss = loss_of(1, [PADDING, PADDING, 1], bias=bias)
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / sum(math.exp(score) for score in (1, 2, 4, 4))))


def test_a_masked_item_gets_no_gradient_and_the_target_gets_one():
    bias = NO_BIAS.clone().requires_grad_()
    loss_of(1, [PADDING, 3, 1], bias=bias).backward()
    shares = ITEMS[:3, 0].softmax(dim=0)
    torch.testing.assert_close(bias.grad, torch.tensor([shares[0], shares[1] - 1, shares[2], 0.0]))


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_gradients_are_those_of_all_scores_at_once(monkeypatch, dtype, near):
    monkeypatch.setitem(losses.ROWS_AT_ONCE, "cpu", 3)
    draw = torch.Generator().manual_seed(1)
    sides = [torch.randn(shape, generator=draw) for shape in ((8, 5), (11, 5), (11,))]
    targets, own = torch.randint(11, (8,), generator=draw), torch.randint(12, (8, 4), generator=draw)
    users, items, bias = (side.clone().requires_grad_() for side in sides)
    scores = users @ items.T + bias
    for row in range(8):
        others = [place for place in own[row].tolist() if place not in (11, targets[row].item())]
        scores = scores.index_put(
            (torch.full((len(others),), row), torch.tensor(others).long()), torch.tensor(-math.inf)
        )
    expected = F.cross_entropy(scores, targets)
    (3 * expected).backward()
    fused = [side.clone().requires_grad_() for side in sides]
    loss = softmax_loss(*fused, targets, own, dtype=dtype)
    (3 * loss).backward()
    torch.testing.assert_close(loss, expected, rtol=near, atol=near)
    for found, wanted in zip(fused, (users, items, bias), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=near, atol=near)


def test_d05_a_user_with_every_item_and_huge_scores_have_a_finite_loss():
    user = (USER * -200).requires_grad_()
    loss = loss_of(0, [0, 1, 2, 3], user=user)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(user.grad).all()


def test_the_sum_is_taken_in_float32():
    assert loss_of(1, [1, 1], dtype=torch.bfloat16).dtype == torch.float32


def test_weights_say_how_much_a_prediction_counts():
    users, targets, own = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 2]), torch.full((2, 1), PADDING)
    sides = ITEMS, NO_BIAS
    first, second = (softmax_loss(users[[row]], *sides, targets[[row]], own[[row]]) for row in (0, 1))
    user = users.clone().requires_grad_()
    weighted = softmax_loss(user, *sides, targets, own, weights=torch.tensor([3.0, 1.0]))
    assert weighted.item() == pytest.approx((3 * first + second).item() / 2)
    weighted.backward()
    alone = users.clone().requires_grad_()
    softmax_loss(alone, *sides, targets, own, weights=torch.tensor([1.0, 0.0])).backward()
    torch.testing.assert_close(user.grad[0], alone.grad[0] * 3)


def test_weights_that_all_vanish_leave_nothing_to_learn_and_no_nan():
    user = USER.clone().requires_grad_()
    sides = ITEMS, NO_BIAS, torch.tensor([1]), torch.full((1, 1), PADDING)
    loss = softmax_loss(user, *sides, weights=torch.zeros(1))
    loss.backward()
    assert loss.item() == 0
    assert not user.grad.any()
