import pytest
import torch

from pgnface.evaluation import metrics
from pgnface.geometry import rotation_from_angles


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
