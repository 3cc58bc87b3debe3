import numpy as np
import pytest
import torch

from recpipe.model.histories import Histories
from recpipe.model.objective import Objective, _among
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
