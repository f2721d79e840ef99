import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pgnface.evaluation import metrics
from pgnface.geometry import rotation_from_angles


def moving(accelerations):
    """Four corners of a square of 10 pixels whose second differences are given."""
    square = torch.tensor([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    places, speed = [torch.zeros(2), torch.tensor([3.0, -1.0])], torch.tensor([3.0, -1.0])
    for a in accelerations:
        speed = speed + torch.tensor(a)
        places.append(places[-1] + speed)
    return torch.stack([square + place for place in places])


def test_steady_motion_does_not_jitter():
    assert metrics.landmark_jitter(moving([(0.0, 0.0)] * 5)).item() == pytest.approx(0, abs=1e-4)
    angles = torch.tensor([[0.0, 2.0 * t, 0.0] for t in range(6)], dtype=torch.float64)
    assert metrics.pose_jitter(rotation_from_angles(angles)).item() == pytest.approx(0, abs=1e-6)


def test_known_accelerations():
    jitter = metrics.landmark_jitter(moving([(0.3, 0.4), (0.0, -1.0), (0.0, 0.0)]))
    assert jitter.item() == pytest.approx(100 * (0.5 + 1 + 0) / 3 / 10, rel=1e-5)
    yaw = torch.tensor([0.0, 1, 3, 3], dtype=torch.float64)  # turns 1, 2, 0
    angles = torch.stack((torch.zeros(4), yaw, torch.zeros(4)), 1)
    assert metrics.pose_jitter(rotation_from_angles(angles)).item() == pytest.approx(1.5)


def test_pose_jitter_by_scipy():
    turns = Rotation.random(6, random_state=0)
    steps = [turns[i + 1] * turns[i].inv() for i in range(5)]
    expected = [(steps[i + 1] * steps[i].inv()).magnitude() for i in range(4)]
    jitter = metrics.pose_jitter(torch.from_numpy(turns.as_matrix()))
    assert jitter.item() == pytest.approx(np.rad2deg(np.mean(expected)))


def test_spreads_by_hand():
    coefficients = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert metrics.coefficient_spread(coefficients).item() == pytest.approx(0.5**0.5)
    vertices = torch.zeros(2, 4, 3)
    vertices[0, 0, 0], vertices[1, 0, 0] = 4.0, -4.0
    assert metrics.shape_spread(vertices).item() == pytest.approx(1.0)


def test_rejects():
    with pytest.raises(ValueError, match="at least 3 consecutive frames, got 2"):
        metrics.landmark_jitter(torch.zeros(2, 68, 2))
    with pytest.raises(ValueError, match=r"rotations must have shape \(F, 3, 3\)"):
        metrics.pose_jitter(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"coefficients must have shape \(F, I\)"):
        metrics.coefficient_spread(torch.zeros(4))
