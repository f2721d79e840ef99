import pytest
import torch

from pgnface.evaluation import metrics
from pgnface.geometry import rotation_from_angles


def test_pose_error_by_hand():
    true = torch.tensor([[10.0, 20.0, 30.0], [0.0, -40.0, 0.0]], dtype=torch.float64)
    off = torch.tensor([[1.0, -2.0, 3.0], [-3.0, 4.0, 5.0]], dtype=torch.float64)
    error = metrics.mean_pose_error(rotation_from_angles(true + off), rotation_from_angles(true))
    assert (error.pitch, error.yaw, error.roll) == pytest.approx((2, 3, 4))
    assert error.mean == pytest.approx(3) and (error.count, error.excluded) == (2, 0)


def test_pose_error_leaves_out_and_counts_impossible_angles():
    angles = torch.tensor([[0.0, 0.0, 0.0], [0.0, -351.0, 0.0], [99.0, 0.0, 0.0]])
    rotation = rotation_from_angles(angles)
    error = metrics.mean_pose_error(rotation, rotation, angles)
    assert (error.count, error.excluded) == (2, 1) and error.mean == pytest.approx(0, abs=1e-4)


def test_pose_error_wraps():
    true = rotation_from_angles(torch.tensor([[0.0, 0.0, 179.0]]))
    predicted = rotation_from_angles(torch.tensor([[0.0, 0.0, -179.0]]))
    assert metrics.mean_pose_error(predicted, true, torch.zeros(1, 3)).roll == pytest.approx(
        2, abs=1e-3
    )


def test_pose_errors_sample_by_sample():
    true = torch.tensor([[10.0, 20.0, 30.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    off = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, -25.0]], dtype=torch.float64)
    errors = metrics.pose_errors(rotation_from_angles(true + off), rotation_from_angles(true))
    assert torch.allclose(errors.angles, off.abs())
    assert errors.geodesic[1].item() == pytest.approx(25)
    with pytest.raises(ValueError, match=r"must have shape \(N, 3, 3\)"):
        metrics.pose_errors(true, true)
