import numpy as np
import pytest
import torch

from recpipe.model.histories import Histories
from recpipe.model.losses import SAMPLED
from recpipe.model.objective import Objective, _among
from recpipe.tables import TYPE_CODES
from tests.model.small_models import config, inputs, model, of_strangers
from tests.model.test_training import small


def test_a_users_own_items_are_found_among_the_drawn_ones():
    own = torch.tensor([[9, 9, 4, 2], [3, 1, 2, 7]])  # 9 is padding
    drawn = torch.tensor([2, 5, 4, 2, 7])
    assert _among(drawn, own).tolist() == [[True, False, True, True, False], [True, False, False, True, True]]


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_the_weight_of_a_prediction_halves_with_the_age_of_what_is_predicted(loss):
    newest, padding = 100, 7
    two_tower = model(config(padding))

    def of(day: int, half_life_days: float | None = 4.0) -> float:
        sequences = of_strangers(*(np.array([values]) for values in ([2, 3], [day - 8, day], [4, 4])))
        settings = small(loss=loss, half_life_days=half_life_days, precision="float32")
        objective = Objective.of(two_tower, inputs(padding), settings, sequences)
        objective.newest_day = newest
        torch.manual_seed(1)
        found, _ = objective.loss([Histories.of(sequences, padding)])
        return found.item()

    weights = [of(newest - age) / of(newest - age, half_life_days=None) for age in (0, 4, 12)]
    assert weights == pytest.approx([1, 0.5, 0.125])


@pytest.mark.parametrize("loss", SAMPLED)
def test_the_hardest_negatives_are_different_items_by_their_scores_alone(loss):
    padding, sequences = 9, of_strangers(np.array([[2, 3], *[[4, 5]] * 8]), np.full((9, 2), 1), np.full((9, 2), 4))
    two_tower, (rows, *others) = model(config(padding)), Histories.of(sequences, padding)
    logq = "none" if loss == "sampled_softmax" else "counts"  # which only it could be corrected by
    settings = small(loss=loss, hardest=3, negatives=400, logq=logq)  # of 9 items: each is drawn several times
    torch.manual_seed(1)
    found, _ = Objective.of(two_tower, inputs(padding), settings, sequences).loss([Histories(rows, *others)])

    catalogue = two_tower.catalogue(inputs(padding))
    users = two_tower.users(catalogue, rows[:, :1], *(each[:, :1] for each in others[:2]), others[2])[:, -1]
    scores = users @ two_tower.candidates(catalogue).T + two_tower.bias(inputs(padding))  # of every item
    hardest = scores.scatter(1, rows, -torch.inf).topk(3, dim=1).values  # but the user's own
    torch.testing.assert_close(found, SAMPLED[loss](scores.gather(1, rows[:, 1:])[:, 0], hardest))


VIEW, PURCHASE = TYPE_CODES["view"], TYPE_CODES["purchase"]


def loss_and_bias_gradient(loss: str, items: list[int], types: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    padding, sequences = 7, of_strangers(*(np.array([values]) for values in (items, [1] * len(items), types)))
    two_tower, settings = model(config(padding)), small(loss=loss, **{"negatives": 200} if loss != "softmax" else {})
    objective = Objective.of(two_tower, inputs(padding), settings, sequences, had_by=("purchase", "review"))
    torch.manual_seed(1)
    found, _ = objective.loss([Histories.of(sequences, padding)])
    found.backward()
    return found, two_tower.item_bias.grad


@pytest.mark.parametrize("loss", ["softmax", *SAMPLED])
def test_an_item_that_the_user_only_viewed_is_a_negative_as_it_may_be_ranked(loss):
    _, viewed = loss_and_bias_gradient(loss, [2, 3, 4], [VIEW, PURCHASE, PURCHASE])
    _, bought = loss_and_bias_gradient(loss, [2, 3, 4], [PURCHASE] * 3)
    assert bought[2] == 0
    assert viewed[2] > 0
    assert (viewed[[3, 4]] < 0).all()


@pytest.mark.parametrize("loss", ["softmax", *SAMPLED])
def test_a_target_is_no_negative_of_itself_however_the_user_met_it(loss):
    viewed, bought = (loss_and_bias_gradient(loss, [2, 3], [PURCHASE, how])[0] for how in (VIEW, PURCHASE))
    assert viewed == bought
