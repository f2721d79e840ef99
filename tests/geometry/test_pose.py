import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface.geometry import (
    Pose,
    angles_from_rotation,
    apply_pose,
    mean_rotation,
    rotation_distance,
    rotation_from_angles,
)
from pgnface.ops import solve_pose


def rotations(*angles: tuple[float, float, float]) -> torch.Tensor:
    return rotation_from_angles(torch.tensor(angles, dtype=torch.float64))


@pytest.mark.parametrize("angle", [-130.0, 20.0, 90.0])
def test_rows_are_those_of_the_annotations(angle):
    """Rx, Ry, Rz of AFLW2000-3D: the transposes of the usual matrices."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    actual = rotations((angle, 0, 0), (0, angle, 0), (0, 0, angle))
    expected = [
        [[1, 0, 0], [0, c, s], [0, -s, c]],
        [[c, 0, -s], [0, 1, 0], [s, 0, c]],
        [[c, s, 0], [-s, c, 0], [0, 0, 1]],
    ]
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64))


def test_order_is_pitch_yaw_roll():
    pitch, yaw, roll, all_three = rotations((10, 0, 0), (0, 20, 0), (0, 0, 30), (10, 20, 30))
    torch.testing.assert_close(all_three, pitch @ yaw @ roll)


@given(pitch=st.floats(-179, 179), yaw=st.floats(-89.9, 89.9), roll=st.floats(-179, 179))
@settings(max_examples=200, deadline=None)
def test_angles_round_trip(pitch, yaw, roll):
    angles = torch.tensor([pitch, yaw, roll], dtype=torch.float64)
    back = angles_from_rotation(rotation_from_angles(angles))
    torch.testing.assert_close(back, angles, atol=1e-6, rtol=0)


def test_angles_round_trip_in_float32():
    angles = torch.rand(500, 3) * torch.tensor([358.0, 170, 358]) - torch.tensor([179.0, 85, 179])
    rotation = rotation_from_angles(angles)
    back = rotation_from_angles(angles_from_rotation(rotation))
    assert (back - rotation).abs().max() < 1e-5
    assert rotation_distance(back, rotation).max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("yaw", [90.0, -90.0, 89.9999999])
def test_gimbal_lock_gives_the_same_rotation_with_roll_zero(yaw, dtype):
    angles = torch.tensor([[25.0, yaw, -40.0], [0, yaw, 0], [-170, yaw, 100]], dtype=dtype)
    rotation = rotation_from_angles(angles)
    back = angles_from_rotation(rotation)
    assert (back[:, 2] == 0).all() and torch.isfinite(back).all()
    torch.testing.assert_close(rotation_from_angles(back), rotation, atol=1e-3, rtol=0)


def test_any_leading_dimensions():
    angles = 40 * torch.randn(2, 1, 4, 3)
    rotation = rotation_from_angles(angles)
    assert rotation.shape == (2, 1, 4, 3, 3) and angles_from_rotation(rotation).shape == (
        2,
        1,
        4,
        3,
    )
    pose = Pose(torch.rand(2, 1, 4), rotation, torch.rand(2, 1, 4, 3))
    assert apply_pose(pose, torch.rand(5, 3)).shape == (2, 1, 4, 5, 3)


def test_identity_is_a_frontal_face():
    pose = Pose(torch.tensor(2.0), torch.eye(3), torch.tensor([100.0, 50.0, 7.0]))
    # The subject's left appears on the right of the image; up is up; the nose is nearer.
    image = apply_pose(pose, torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    expected = torch.tensor([[102.0, 50, 7], [100, 48, 7], [100, 50, 5]])
    torch.testing.assert_close(image, expected)


@pytest.mark.parametrize("angle", [0.0, 1e-3, 30.0, 179.0, 180.0])
def test_distance_is_the_angle_between(angle):
    a, b = rotations((10, 20, 30), (angle, 0, 0))
    # asin has no slope to spare near 180 degrees
    assert rotation_distance(a, a @ b).item() == pytest.approx(angle, abs=1e-5)


def test_mean_rotation():
    centre, *around = rotations((10, 20, 30), (5, 0, 0), (-5, 0, 0), (0, 9, 0), (0, -9, 0))
    mean = mean_rotation(torch.stack([centre @ turn for turn in around]))
    assert rotation_distance(mean, centre).item() < 1e-6


@pytest.mark.kit
def test_annotations_share_one_frontal_frame(kit):
    """Undoing the annotated pose of real files leaves shapes that face one way: f Rx Ry Rz S + t.

    Composed in another order the angles leave rotations of tens of degrees.
    """
    scipy_io = pytest.importorskip("scipy.io")
    files = sorted((kit / "aflw2000_dev").glob("*.mat"))[::20]
    if not files:
        pytest.skip("needs the AFLW2000-3D part of the kit")
    annotations = [scipy_io.loadmat(file) for file in files]
    parameters = torch.tensor([a["Pose_Para"][0].tolist() for a in annotations]).double()
    points = torch.tensor([a["pt3d_68"].T.tolist() for a in annotations]).double()
    # y -> height + 1 - y, z to the viewer
    points = points * torch.tensor([1.0, -1, 1]) + torch.tensor([0.0, 451, 0])
    translation, scale = parameters[:, 3:6], parameters[:, 6]

    def remaining_rotation(rotation):
        """Degrees between each unposed shape and their median: 90th percentile."""
        shapes = (points - translation[:, None]) / scale[:, None, None] @ rotation
        fit = solve_pose(shapes.median(0).values.expand_as(shapes), shapes)
        return rotation_distance(fit.rotation, torch.eye(3).double()).quantile(0.9).item()

    angles = torch.rad2deg(parameters[:, :3])
    turns = [rotation_from_angles(angles * axis) for axis in torch.eye(3).double()]
    assert remaining_rotation(rotation_from_angles(angles)) < 5
    assert remaining_rotation(turns[2] @ turns[1] @ turns[0]) > 20
    assert remaining_rotation(turns[1] @ turns[0] @ turns[2]) > 20
    assert remaining_rotation(rotation_from_angles(-angles)) > 20
