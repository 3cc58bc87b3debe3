import math

import pytest
import torch

from recpipe.model.losses import bce_loss, bpr_loss, sampled_softmax_loss
from recpipe.model.negatives import Counts, Sampler, Streaming

ITEMS, TARGET, BATCH = 30, 4, 2048
SHARES = torch.arange(3, ITEMS + 3, dtype=torch.float64)
SHARES = (SHARES / SHARES.sum()).float()
"""Of each item among the targets; the last is eleven times the first."""


def batch(draw: torch.Generator) -> torch.Tensor:
    return torch.multinomial(SHARES, BATCH, replacement=True, generator=draw)


def scores() -> torch.Tensor:
    return torch.randn(ITEMS, generator=torch.Generator().manual_seed(5)).requires_grad_()


def counted() -> Counts:
    return Counts(torch.repeat_interleave(torch.arange(ITEMS), (SHARES * 1e6).long()), ITEMS)


def streamed() -> Streaming:
    draw = torch.Generator().manual_seed(2)
    shares = Streaming(torch.zeros(1, dtype=torch.int64), ITEMS)
    for _ in range(300):
        Sampler("mixed", 2, ITEMS, shares).draw(batch(draw))
    return shares


def mean_gradient(sampler: Sampler, sign: float) -> torch.Tensor:
    torch.manual_seed(3)
    draw, total, times = torch.Generator().manual_seed(4), torch.zeros(ITEMS), 150
    for _ in range(times):
        s = scores()
        drawn = sampler.draw(batch(draw))
        wrong = s[drawn.places] - sign * drawn.log_expected
        wrong = wrong.masked_fill(drawn.places == TARGET, -math.inf)
        sampled_softmax_loss(s[TARGET][None], wrong[None]).backward()
        total += s.grad
    return total / times


def full_gradient() -> torch.Tensor:
    s = scores()
    torch.nn.functional.cross_entropy(s[None], torch.tensor([TARGET])).backward()
    return s.grad


@pytest.mark.parametrize("kind", ["uniform", "in_batch", "mixed"])
@pytest.mark.parametrize("shares", [counted, streamed])
def test_the_expected_gradient_of_sampled_negatives_is_that_of_all_items(kind, shares):
    sampler, expected = Sampler(kind, 2048, ITEMS, shares()), full_gradient()
    near = 0.004 if shares is counted or kind == "uniform" else 0.02
    assert (mean_gradient(sampler, sign=1) - expected).abs().max() < near
    if kind != "uniform":  # there the correction is one for all
        assert (mean_gradient(sampler, sign=-1) - expected).abs().max() > 0.05
        assert (mean_gradient(sampler, sign=0) - expected).abs().max() > 0.03


def test_the_draw_is_as_often_of_an_item_as_it_says():
    draw, sampler = torch.Generator().manual_seed(4), Sampler("mixed", 100, ITEMS, counted())
    torch.manual_seed(1)
    found, times = torch.zeros(ITEMS), 2000
    for _ in range(times):
        found += torch.bincount(sampler.draw(batch(draw)).places, minlength=ITEMS)
    expected = torch.zeros(ITEMS)
    drawn = sampler.draw(batch(draw))
    expected[drawn.places] = drawn.log_expected.exp()
    assert (found / times)[drawn.places].numpy() == pytest.approx(expected[drawn.places].numpy(), rel=0.1)


def test_shares_are_learned_on_the_way():
    found = streamed().log_shares(torch.arange(ITEMS)).exp()
    common = SHARES > 0.01
    assert found[common].numpy() == pytest.approx(SHARES[common].numpy(), rel=0.5)
    assert found[common].log().sub(SHARES[common].log()).mean().abs() < 0.15


RIGHT = torch.tensor([2.0, 1.0])
WRONG = torch.tensor([[1.0, -math.inf], [0.0, 3.0]])


def test_a_negative_that_does_not_count_changes_nothing():
    for loss in (sampled_softmax_loss, bpr_loss, bce_loss):
        alone = loss(RIGHT[:1], WRONG[:1, :1])
        assert loss(RIGHT[:1], WRONG[:1]).item() == pytest.approx(alone.item())
        nobody = torch.tensor([[-math.inf]]).requires_grad_()
        loss(RIGHT[:1], nobody).backward()
        assert torch.isfinite(loss(RIGHT[:1], nobody))
        assert torch.isfinite(nobody.grad).all()


def test_bpr_and_bce_are_what_their_authors_say():
    log_sigmoid = torch.nn.functional.logsigmoid
    pairs = log_sigmoid(torch.tensor([1.0 - 0.0, 1.0 - 3.0]))
    assert bpr_loss(RIGHT[1:], WRONG[1:]).item() == pytest.approx(-pairs.mean().item())
    ones = log_sigmoid(torch.tensor(1.0)) + (log_sigmoid(torch.tensor([0.0, -3.0]))).mean()
    assert bce_loss(RIGHT[1:], WRONG[1:]).item() == pytest.approx(-ones.item())


def test_weights_say_how_much_a_prediction_counts():
    for loss in (sampled_softmax_loss, bpr_loss, bce_loss):
        first, second = (loss(RIGHT[[row]], WRONG[[row]]) for row in (0, 1))
        weighted = loss(RIGHT, WRONG, torch.tensor([3.0, 1.0]))
        assert weighted.item() == pytest.approx((3 * first + second).item() / 2)
