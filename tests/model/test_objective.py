import torch

from recpipe.model.objective import _among


def test_a_users_own_items_are_found_among_the_drawn_ones():
    own = torch.tensor([[9, 9, 4, 2], [3, 1, 2, 7]])  # 9 is padding
    drawn = torch.tensor([2, 5, 4, 2, 7])
    assert _among(drawn, own).tolist() == [[True, False, True, True, False], [True, False, False, True, True]]
