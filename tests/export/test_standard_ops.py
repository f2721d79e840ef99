"""Each stand-in against the kernel that it stands in for."""

import pytest
import torch

from pgnface import ops
from pgnface.export import standard_ops
from pgnface.geometry import flip_axes, rotation_from_angles
from pgnface.morphable import load_model


def assert_same_fit(source, target, weights=None, atol=1e-5):
    found = standard_ops.solve_pose(source, target, weights)
    expected = ops.solve_pose(source, target, weights)
    size = max(1.0, float(target.abs().max()))
    for value, wanted, unit in zip(found, expected, (1, 1, size, size), strict=False):
        torch.testing.assert_close(value, wanted, atol=atol * unit, rtol=atol)


@pytest.mark.parametrize("yaw", [0.0, 45.0, -90.0, 90.0, 179.0])
@pytest.mark.parametrize("weighted", [True, False])
def test_solves_head_poses(yaw, weighted):
    model = load_model("default")
    batch = 200
    source = model.landmark_points(torch.randn(batch, model.identity_count))
    angles = torch.tensor([0.0, yaw, 0.0]) + 20 * torch.randn(batch, 3)
    target = flip_axes(source @ rotation_from_angles(angles).transpose(1, 2))
    target = 0.6 * target + torch.tensor([64.0, 64.0, 0.0]) + torch.randn(batch, 68, 3)
    assert_same_fit(source, target, torch.rand(batch, 68) if weighted else None)


def test_solves_unrelated_sets():
    source, target = torch.randn(2, 2000, 68, 3)
    assert_same_fit(source, target, torch.rand(2000, 68) - 0.2, atol=1e-4)


def test_mirrored_and_planar_targets_get_proper_rotations():
    source = torch.randn(500, 68, 3) * torch.tensor([3.0, 2.0, 1.0])
    turn = rotation_from_angles(180 * torch.rand(500, 3)).transpose(1, 2)
    assert_same_fit(source, source * torch.tensor([1.0, 1.0, -1.0]) @ turn, atol=1e-4)
    assert_same_fit(source * torch.tensor([1.0, 1.0, 0.0]), source @ turn)


@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_solves_at_any_size(size):
    source = torch.randn(50, 68, 3)
    fit = standard_ops.solve_pose(size * source, size * (source + 0.1 * torch.randn(50, 68, 3)))
    eye = torch.eye(3).expand(50, 3, 3)
    torch.testing.assert_close(fit[0], torch.ones(50), atol=0.1, rtol=0)
    torch.testing.assert_close(fit[1] @ fit[1].transpose(1, 2), eye, atol=1e-5, rtol=0)


def test_without_weight_the_pose_is_the_identity():
    assert_same_fit(*torch.randn(2, 3, 5, 3), torch.zeros(3, 5))


def test_coinciding_points_give_finite_numbers():
    points, one = torch.randn(3, 5, 3), torch.randn(3, 1, 3).expand(3, 5, 3)
    for source, target in ((points, one), (one, points), (one, one)):
        assert all(value.isfinite().all() for value in standard_ops.solve_pose(source, target))


@pytest.mark.parametrize("posed", [True, False])
def test_evaluates_face_models(posed):
    pose = (torch.rand(4), torch.randn(4, 3, 3), torch.randn(4, 3)) if posed else ()
    inputs = (torch.randn(30, 3), torch.randn(7, 30, 3), torch.randn(4, 7), *pose)
    torch.testing.assert_close(
        standard_ops.evaluate_morphable(*inputs), ops.evaluate_morphable(*inputs)
    )


def test_samples_colours_inside_and_outside():
    image, points = torch.rand(2, 3, 6, 9), 12 * torch.rand(2, 50, 2) - 2
    torch.testing.assert_close(
        standard_ops.sample_colors(image, points), ops.sample_colors(image, points)
    )


@pytest.mark.parametrize("slopes", [1, 5])
def test_prelu(slopes):
    x, weight = torch.randn(2, 5, 3, 4), torch.randn(slopes)
    torch.testing.assert_close(standard_ops.prelu(x, weight), torch.prelu(x, weight))
