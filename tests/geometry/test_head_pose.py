import pytest
import torch

from pgnface.geometry import Pose, apply_pose, rotation_from_angles, solve_head_pose


def random_pose(*leading: int) -> Pose:
    return Pose(
        torch.rand(leading, dtype=torch.float64) + 0.5,
        rotation_from_angles(60 * torch.randn(*leading, 3, dtype=torch.float64)),
        100 * torch.randn(*leading, 3, dtype=torch.float64),
    )


@pytest.mark.parametrize("leading", [(), (3,), (2, 4), (0,), (2, 0, 3)])
def test_recovers_a_pose_with_any_leading_dimensions(leading):
    pose, points = random_pose(*leading), torch.randn(*leading, 68, 3, dtype=torch.float64)
    solved = solve_head_pose(points, apply_pose(pose, points), torch.rand(*leading, 68).double())
    for actual, expected in zip(solved, pose, strict=True):
        torch.testing.assert_close(actual, expected)


def test_leading_dimensions_broadcast():
    pose, points = random_pose(5, 2), torch.randn(2, 68, 3, dtype=torch.float64)
    weights = torch.ones(68, dtype=torch.float64)
    solved = solve_head_pose(points, apply_pose(pose, points), weights)
    for actual, expected in zip(solved, pose, strict=True):
        torch.testing.assert_close(actual, expected)


def test_gradients():
    points = torch.randn(2, 1, 6, 3, dtype=torch.float64)
    image = apply_pose(random_pose(2, 3), points) + 0.1 * torch.randn(2, 3, 6, 3).double()
    inputs = points.requires_grad_(), image.requires_grad_(), torch.rand(3, 6).double()
    assert torch.autograd.gradcheck(solve_head_pose, (*inputs[:2], inputs[2].requires_grad_()))


def test_wrong_shapes():
    good = torch.rand(2, 68, 3)
    with pytest.raises(ValueError, match=r"image_points must have shape \(\.\.\., K, 3\)"):
        solve_head_pose(good, good[..., :2])
    with pytest.raises(ValueError, match=r"must agree .* got \[\(2, 68\), \(2, 67\)\] points"):
        solve_head_pose(good, good[:, :67])
    with pytest.raises(ValueError, match="must agree"):
        solve_head_pose(good, good, torch.rand(3, 68))
