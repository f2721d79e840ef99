import math

import pytest
import torch

from pgnface.evaluation import metrics
from pgnface.geometry import rotation_from_angles


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
    assert metrics.nme(predicted, target).item() == pytest.approx(5.0)


def test_nme_of_a_rectangle_uses_the_geometric_mean():
    target = square()[..., :2] * torch.tensor([4.0, 1.0])
    assert metrics.nme(target + torch.tensor([1.0, 0.0]), target).item() == pytest.approx(5.0)


def test_nme_3d_ignores_the_mean_depth():
    target = square()
    assert metrics.nme(target + torch.tensor([0.0, 0.0, 7.0]), target).item() == pytest.approx(0)
    tilted = target.clone()
    tilted[0, :34, 2] += 1
    tilted[0, 34:, 2] -= 1  # mean offset 0, every point off by 1
    assert metrics.nme(tilted, target).item() == pytest.approx(10.0)


def test_nme_interocular():
    target = torch.zeros(1, 68, 2)
    target[0, 45, 0] = 4.0
    assert metrics.nme(target + torch.tensor([0.0, 1.0]), target, "interocular").item() == 25.0


@pytest.mark.parametrize(
    "predicted, target, message",
    [((2, 68, 4), (2, 68, 4), "predicted must have shape"), ((2, 68, 2), (2, 68, 3), "one shape")],
)
def test_nme_rejects(predicted, target, message):
    with pytest.raises(ValueError, match=message):
        metrics.nme(torch.zeros(predicted), torch.zeros(target))
    with pytest.raises(ValueError, match="normaliser"):
        metrics.nme(torch.zeros(1, 68, 2), torch.zeros(1, 68, 2), "nose")


def test_error_by_yaw_by_hand():
    table = metrics.error_by_yaw(
        torch.tensor([1.0, 3.0, 4.0, 6.0, 8.0]), torch.tensor([0.0, -30.0, 31.0, -89.0, 351.0])
    )
    assert table.bins == ("0-30", "30-60", "60-90")
    assert table.counts == (2, 1, 2)
    assert table.means == (2.0, 4.0, 7.0)
    assert table.mean == pytest.approx(13 / 3)
    assert table.std == pytest.approx(math.sqrt((2**2 + 4**2 + 7**2) / 3 - (13 / 3) ** 2))
    assert table.overall == pytest.approx(22 / 5)


def test_an_empty_bin_is_left_out_of_the_mean():
    table = metrics.error_by_yaw(torch.tensor([2.0, 4.0]), torch.tensor([5.0, 80.0]))
    assert math.isnan(table.means[1]) and table.mean == 3.0 and table.counts == (1, 0, 1)


@pytest.mark.parametrize("edges", [(0,), (10, 20), (0, 30, 30)])
def test_error_by_yaw_rejects_edges(edges):
    with pytest.raises(ValueError, match="edges that increase from 0"):
        metrics.error_by_yaw(torch.ones(1), torch.ones(1), edges)


def test_pose_error_by_hand():
    true = torch.tensor([[10.0, 20.0, 30.0], [0.0, -40.0, 0.0]], dtype=torch.float64)
    off = torch.tensor([[1.0, -2.0, 3.0], [-3.0, 4.0, 5.0]], dtype=torch.float64)
    error = metrics.pose_error(rotation_from_angles(true + off), rotation_from_angles(true))
    assert (error.pitch, error.yaw, error.roll) == pytest.approx((2, 3, 4))
    assert error.mean == pytest.approx(3) and (error.count, error.excluded) == (2, 0)


def test_pose_error_leaves_out_and_counts_impossible_angles():
    angles = torch.tensor([[0.0, 0.0, 0.0], [0.0, -351.0, 0.0], [99.0, 0.0, 0.0]])
    rotation = rotation_from_angles(angles)
    error = metrics.pose_error(rotation, rotation, angles)
    assert (error.count, error.excluded) == (2, 1) and error.mean == pytest.approx(0, abs=1e-4)


def test_pose_error_wraps():
    true = rotation_from_angles(torch.tensor([[0.0, 0.0, 179.0]]))
    predicted = rotation_from_angles(torch.tensor([[0.0, 0.0, -179.0]]))
    assert metrics.pose_error(predicted, true, torch.zeros(1, 3)).roll == pytest.approx(2, abs=1e-3)


def test_shape_error_is_invariant_to_what_it_aligns():
    target = torch.randn(2, 50, 3, dtype=torch.float64)
    rotation = rotation_from_angles(torch.tensor([10.0, -70.0, 30.0], dtype=torch.float64))
    moved = target @ rotation.T + torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert metrics.shape_error(moved, target).max() < 1e-9
    assert metrics.shape_error(moved * 2, target).min() > 0.1
    assert metrics.shape_error(moved * 2, target, scale=True).max() < 1e-9


def test_shape_error_by_hand():
    # A symmetric stretch of a cross along x by 1 mm at both ends: no rigid motion helps.
    target = torch.tensor([[[2.0, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 2], [0, 0, -2]]])
    predicted = target.clone()
    predicted[0, 0, 0], predicted[0, 1, 0] = 3.0, -3.0
    assert metrics.shape_error(predicted, target).item() == pytest.approx(2 / 6, abs=1e-6)


def test_cumulative_error():
    thresholds, fractions = metrics.cumulative_error(torch.tensor([1.0, 2.0, 50.0, 2.5]), 4, 4)
    assert thresholds.tolist() == [0, 1, 2, 3, 4]
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 0.75]
