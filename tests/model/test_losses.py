import math

import pytest
import torch

from recpipe.model.losses import softmax_loss

SCORES = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
PADDING = 4


def test_the_loss_is_the_cross_entropy_over_the_catalogue():
    loss = softmax_loss(SCORES, torch.tensor([1]), torch.tensor([[PADDING, PADDING, 1]]))
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / sum(math.exp(score) for score in (1, 2, 3, 4))))


def test_the_users_other_items_are_no_negatives():
    loss = softmax_loss(SCORES, torch.tensor([1]), torch.tensor([[PADDING, 3, 1]]))
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / sum(math.exp(score) for score in (1, 2, 3))))


def test_a_masked_item_gets_no_gradient_and_the_target_gets_one():
    scores = SCORES.clone().requires_grad_()
    softmax_loss(scores, torch.tensor([1]), torch.tensor([[PADDING, 3, 1]])).backward()
    shares = SCORES[0, :3].softmax(dim=0)
    expected = [shares[0], shares[1] - 1, shares[2], 0.0]
    torch.testing.assert_close(scores.grad[0], torch.tensor(expected))


def test_d05_a_user_with_every_item_and_huge_scores_have_a_finite_loss():
    everything = torch.tensor([[0, 1, 2, 3]])
    scores = (SCORES * -200).requires_grad_()
    loss = softmax_loss(scores, torch.tensor([0]), everything)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(scores.grad).all()


def test_the_sum_is_taken_in_float32():
    assert softmax_loss(SCORES.bfloat16(), torch.tensor([1]), torch.tensor([[1, 1]])).dtype == torch.float32
