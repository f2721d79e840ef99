import pytest
import torch

from pgnface.evaluation import metrics


def square(size=10.0, depth=0.0):
    """68 points of which the four corners of a square matter; the rest lie at its origin."""
    points = torch.zeros(1, 68, 3)
    points[0, 1, 0] = points[0, 2, 0] = size
    points[0, 2, 1] = points[0, 3, 1] = size
    points[..., 2] = depth
    return points


def test_nme_2d_by_hand():
    target = square()[..., :2]
    predicted = target + torch.tensor([0.3, 0.4])  # every point is off by 0.5; the box is 10 x 10
    assert metrics.sparse_nme(predicted, target).item() == pytest.approx(5.0)


def test_nme_of_a_rectangle_uses_the_geometric_mean():
    target = square()[..., :2] * torch.tensor([4.0, 1.0])
    assert metrics.sparse_nme(target + torch.tensor([1.0, 0.0]), target).item() == pytest.approx(
        5.0
    )


def test_nme_3d_ignores_the_mean_depth():
    target = square()
    assert metrics.sparse_nme(
        target + torch.tensor([0.0, 0.0, 7.0]), target
    ).item() == pytest.approx(0)
    tilted = target.clone()
    tilted[0, :34, 2] += 1
    tilted[0, 34:, 2] -= 1  # mean offset 0, every point off by 1
    assert metrics.sparse_nme(tilted, target).item() == pytest.approx(10.0)


def test_nme_interocular():
    target = torch.zeros(1, 68, 2)
    target[0, 45, 0] = 4.0
    assert (
        metrics.sparse_nme(target + torch.tensor([0.0, 1.0]), target, "interocular").item() == 25.0
    )


@pytest.mark.parametrize(
    "predicted, target, message",
    [((2, 68, 4), (2, 68, 4), "predicted must have shape"), ((2, 68, 2), (2, 68, 3), "one shape")],
)
def test_nme_rejects(predicted, target, message):
    with pytest.raises(ValueError, match=message):
        metrics.sparse_nme(torch.zeros(predicted), torch.zeros(target))
    with pytest.raises(ValueError, match="normaliser"):
        metrics.sparse_nme(torch.zeros(1, 68, 2), torch.zeros(1, 68, 2), "nose")


def box_of_vertices(depths):
    """Vertices at the corners of a rectangle of 8 by 2 with these depths, ``(1, 4, 3)``."""
    points = torch.tensor([[0.0, 0, 0], [8, 0, 0], [8, 2, 0], [0, 2, 0]])
    points[:, 2] = torch.tensor(depths)
    return points[None]


def test_dense_nme_with_mean_depth():
    true = box_of_vertices([0.0, 0, 0, 0])
    assert metrics.dense_nme(true + torch.tensor([0.0, 0, 9]), true).item() == pytest.approx(0)
    predicted = box_of_vertices([4.0, 0, 0, 0])  # the mean is 1: off by 3, 1, 1, 1; sqrt(8 2) = 4
    assert metrics.dense_nme(predicted, true).item() == pytest.approx(100 * 1.5 / 4)
    moved = true[..., :2] + torch.tensor([0.0, 1.0])
    assert metrics.dense_nme(moved, true[..., :2]).item() == pytest.approx(25)


def test_dense_nme_with_the_rearmost_vertex_and_the_landmarks_box():
    true = box_of_vertices([0.0, 0, 0, 0])
    landmarks = torch.tensor([[[0.0, 0], [1, 4]]])  # sqrt(1 4) = 2
    predicted = box_of_vertices([4.0, 0, 0, 0])  # counted from z = 4: off by 0, 4, 4, 4
    error = metrics.dense_nme(predicted, true, "min_z", landmarks)
    assert error.item() == pytest.approx(100 * 3 / 2)
    shifted = metrics.dense_nme(predicted + torch.tensor([0.0, 0, 5]), true, "min_z", landmarks)
    assert shifted.item() == pytest.approx(error.item())


def test_dense_nme_rejects():
    points = torch.zeros(1, 5, 3)
    with pytest.raises(ValueError, match="needs the true landmarks"):
        metrics.dense_nme(points, points, "min_z")
    with pytest.raises(ValueError, match="variant must be"):
        metrics.dense_nme(points, points, "median_z")
    with pytest.raises(ValueError, match="one shape"):
        metrics.dense_nme(points, points[..., :2])
