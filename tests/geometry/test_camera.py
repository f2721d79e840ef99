import math

import pytest
import torch

from pgnface.geometry import (
    PinholeCamera,
    Pose,
    apply_pose,
    pinhole_from_field_of_view,
    project_pinhole,
    project_weak_perspective,
    rotation_from_angles,
    to_camera,
    weak_perspective_pose,
)


def camera(focal: float) -> PinholeCamera:
    return PinholeCamera(torch.tensor(focal).double(), torch.tensor([60.0, 50.0]).double())


def test_the_principal_point_is_straight_ahead():
    points = torch.tensor([[0.0, 0, 10], [0, 0, 1000], [1, 2, 10]]).double()
    image = project_pinhole(points, camera(100.0), torch.tensor(10.0).double())
    assert image[:2, :2].tolist() == [[60, 50], [60, 50]]
    assert image[2].tolist() == [70, 70, 0]  # x right, y down, depth 0 at the distance
    assert image[1, 2] > image[0, 2]  # farther is deeper


def test_weak_perspective_after_to_camera_is_apply_pose():
    points = torch.randn(2, 3, 20, 3)
    pose = Pose(
        torch.rand(2, 3), rotation_from_angles(40 * torch.randn(2, 3, 3)), torch.rand(2, 3, 3)
    )
    seen = to_camera(points, pose.rotation, torch.zeros(3))
    image = project_weak_perspective(seen, pose.scale, pose.translation)
    torch.testing.assert_close(image, apply_pose(pose, points))


def test_a_distant_pinhole_is_weak_perspective():
    points = 80 * torch.randn(50, 3).double()
    rotation = rotation_from_angles(torch.tensor([10.0, 30.0, -5.0]).double())
    position = torch.tensor([100.0, -50.0, 1.0]).double()
    errors = []
    for distance in (1e3, 1e4, 1e5):
        position[2] = distance
        far = camera(2.0 * distance)
        pose = weak_perspective_pose(far, rotation, position)
        image = project_pinhole(to_camera(points, rotation, position), far, position[2])
        assert pose.scale.item() == pytest.approx(2.0)
        errors.append((image - apply_pose(pose, points)).abs().max().item())
    assert errors[0] < 150 and errors[1] < errors[0] / 5 and errors[2] < errors[1] / 5


def test_depth_is_linear_over_a_line_in_the_image():
    ends = torch.tensor([[-30.0, 10, 300], [50, -20, 700]]).double()
    line = torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, 11).double()[:, None])
    image = project_pinhole(line, camera(500.0), torch.tensor(400.0).double())
    along = (image[:, 0] - image[0, 0]) / (image[-1, 0] - image[0, 0])
    torch.testing.assert_close(image[:, 2], torch.lerp(image[0, 2], image[-1, 2], along))


def test_points_behind_the_camera_have_no_image_and_no_gradient():
    points = torch.tensor([[1.0, 1, 5], [1, 1, 0], [1, 1, -5]]).double().requires_grad_()
    image = project_pinhole(points, camera(10.0), torch.tensor(5.0).double())
    assert torch.isfinite(image[0]).all() and torch.isnan(image[1:]).all()
    image[0].sum().backward(retain_graph=True)
    assert torch.isfinite(points.grad).all()
    points.grad = None
    image.nansum().backward()
    assert (points.grad[0] != 0).any() and (points.grad[1:] == 0).all()


def test_gradients():
    points = (torch.rand(2, 4, 3).double() + 1).requires_grad_()
    focal = torch.tensor([3.0, 4.0]).double().requires_grad_()
    center, distance = torch.rand(2, 2).double().requires_grad_(), torch.rand(2).double()

    def project(points, focal, center, distance):
        return project_pinhole(points, PinholeCamera(focal, center), distance)

    assert torch.autograd.gradcheck(project, (points, focal, center, distance.requires_grad_()))


def test_field_of_view_covers_the_height():
    wide = pinhole_from_field_of_view(90.0, height=100, width=200)
    edge = torch.tensor([[0.0, 1.0, 1.0], [0.0, -1.0, 1.0]])
    image = project_pinhole(edge, wide, torch.tensor(1.0))
    torch.testing.assert_close(image[:, :2], torch.tensor([[100.0, 100.0], [100.0, 0.0]]))
    narrow = pinhole_from_field_of_view(30.0, 100, 100)
    assert narrow.focal.item() == pytest.approx(50 / math.tan(math.radians(15)), rel=1e-6)


@pytest.mark.parametrize("degrees, height", [(0, 10), (180, 10), (float("nan"), 10), (60, 0)])
def test_impossible_fields_of_view(degrees, height):
    with pytest.raises(ValueError, match=r"must lie in|must be positive"):
        pinhole_from_field_of_view(degrees, height, 10)
