"""Weights of teachers, whose errors are known."""

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data.teachers.weights import YawWeights, fit_weights, head_yaw
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.morphable import load_model


def heads(yaws):
    """Landmarks (N, 68, 3) of the built-in model."""
    model = load_model("default")
    angles = torch.tensor([[4.0, yaw, -10.0] for yaw in yaws])
    count = len(angles)
    pose = Pose(torch.full((count,), 0.7), rotation_from_angles(angles), torch.full((count, 3), 60))
    return apply_pose(pose, model.mean[model.landmarks.long()].expand(count, -1, -1))


def noisy(true, sigma, seed):
    noise = torch.from_numpy(np.random.default_rng(seed).normal(0, sigma, true.shape)).float()
    return true + noise


def test_yaw():
    expected = [0.0, 30.0, 62.0, 85.0]
    found = head_yaw(heads([0, -30, 62, -85]))
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_independent_teachers_count_by_inverse_variance():
    true = heads([5.0] * 300)
    weights = fit_weights(torch.stack((noisy(true, 1, 0), noisy(true, 2, 1))), true)
    np.testing.assert_allclose(weights.weights, [[0.8, 0.2]], atol=0.02)
    np.testing.assert_allclose(weights.yaw, [5], atol=0.05)


def test_teachers_that_err_alike_share_a_weight():
    true = heads([5.0] * 300)
    same = noisy(true, 1, 0)
    weights = fit_weights(torch.stack((same, same, noisy(true, 1, 1))), true).weights[0]
    assert weights[:2].sum() == pytest.approx(0.5, abs=0.02) and weights.min() >= 0


def test_bins_differ_and_weights_are_linear_between_them():
    true = heads([5.0] * 40 + [70.0] * 40 + [40.0] * 3)
    good, bad = noisy(true, 0.5, 0), noisy(true, 5, 1)
    front = (torch.arange(83) < 40)[:, None, None]
    weights = fit_weights(
        torch.stack((torch.where(front, good, bad), torch.where(front, bad, good))), true
    )
    assert weights.yaw.shape == (2,)  # three faces are too few for a bin
    expected = [[0.99, 0.01], [0.01, 0.99]]
    np.testing.assert_allclose(weights.weights, expected, atol=0.01)
    between = weights(heads([37.5, 0, 90]))
    np.testing.assert_allclose(between[0], [0.5, 0.99, 0.01], atol=0.02)


def test_faces_that_a_teacher_does_not_see_are_left_out():
    true = heads([5.0] * 40)
    blind = noisy(true, 1, 0)
    blind[:25] = torch.nan
    weights = fit_weights(torch.stack((blind, noisy(true, 1, 1))), true)
    assert np.isfinite(weights.weights).all()
    blind[:35] = torch.nan
    with pytest.raises(UserError, match="expected 10 faces in a bin of yaw, got 5"):
        fit_weights(torch.stack((blind, true)), true)


def test_one_teacher_has_all_the_weight():
    assert YawWeights(np.array([10.0]), np.ones((1, 1)))(heads([40, 0])).tolist() == [[1, 1]]
