import numpy as np
import torch

from recpipe.model.graph import Edges, GraphStep

PLACES = np.array([[4, 0, 1, 2], [4, 4, 1, 0], [4, 4, 4, 3]])  # padding 4


def dense(edges: Edges, items: int) -> np.ndarray:
    ends = [*edges.offsets.tolist(), len(edges.neighbours)]
    matrix = np.zeros((items, items))
    for row in range(items):
        its = slice(ends[row], ends[row + 1])
        matrix[row, edges.neighbours[its].numpy()] = edges.weights[its].numpy()
    return matrix


def test_near_items_are_counted_by_distance_and_scaled_by_their_degrees():
    counts = np.array([[0, 2, 0.5, 0], [2, 0, 1, 0], [0.5, 1, 0, 0], [0, 0, 0, 0]])
    degree = counts.sum(axis=1)
    expected = np.zeros((4, 4))
    for i in range(3):
        for j in range(3):
            expected[i, j] = counts[i, j] / np.sqrt(degree[i] * degree[j])
    np.testing.assert_allclose(dense(Edges.of(PLACES, 4), 4), expected, rtol=1e-6)


def test_items_further_apart_than_the_window_and_one_had_twice_are_not_near():
    far = np.array([[0, 1, 1, 2, 3]])
    found = dense(Edges.of(far, 4), 4)
    assert found[0, 3] == 0
    assert found[1, 1] == 0
    assert found[0, 2] > 0


def step(dropout: float = 0.0) -> tuple[GraphStep, Edges]:
    edges = Edges.of(PLACES, 4)
    made = GraphStep(4, len(edges.weights), dropout)
    made.fill(edges)
    return made, edges


def test_a_step_adds_the_neighbours_and_leaves_items_without_an_id_alone():
    made, edges = step()
    x = torch.arange(10, dtype=torch.float32).view(5, 2)
    ids = torch.tensor([0, 1, 4, 2, 3])  # the third item has no id
    own = x[[0, 1, 3, 4]]
    expected = own + torch.from_numpy(dense(edges, 4)).float() @ own
    found = made(x, ids)
    torch.testing.assert_close(found[[0, 1, 3, 4]], expected)
    assert found[2].tolist() == x[2].tolist()
    torch.testing.assert_close(made(own, torch.arange(4)), expected)


def test_dropped_edges_are_made_up_for_on_average():
    made, _ = step(dropout=0.5)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    expected = made.eval()(x, torch.arange(4))
    torch.manual_seed(2)
    made.train()
    several = torch.stack([made(x, torch.arange(4)) for _ in range(4000)])
    assert several.std(dim=0).max() > 0.1
    torch.testing.assert_close(several.mean(dim=0), expected, rtol=0, atol=0.05)


def test_the_gradient_is_that_of_the_matrix_without_the_dropped_edges():
    made, edges = step(dropout=0.5)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    torch.manual_seed(2)
    (made.train()(x, torch.arange(4)) * torch.arange(8.0).view(4, 2)).sum().backward()
    torch.manual_seed(2)
    left = edges._replace(weights=edges.weights * (torch.rand(edges.weights.shape) >= 0.5) / 0.5)
    near = torch.from_numpy(dense(left, 4)).float()
    assert not torch.equal(near, near.T)  # else it would not show which way an edge leads
    torch.testing.assert_close(x.grad, (torch.eye(4) + near).T @ torch.arange(8.0).view(4, 2))
