import pytest
import torch

from pgnface.data.profiling import profile_face, turn_pose
from pgnface.geometry import Pose, angles_from_rotation, rotation_from_angles
from pgnface.morphable import load_model
from pgnface.render import render

SIZE = 192


@pytest.fixture(scope="module")
def model():
    return load_model()


def poses(*yaws):
    count = len(yaws)
    angles = torch.tensor([[5.0, yaw, -4.0] for yaw in yaws])
    centre = torch.tensor([SIZE / 2, SIZE / 2, 7.0])
    return Pose(torch.full((count,), 0.55), rotation_from_angles(angles), centre.expand(count, 3))


def draw(model, pose):
    """A face painted with a smooth pattern that turns with it, before a smooth background."""
    x, y, z = model.mean.unbind(-1)
    waves = (x / 9).sin() + (y / 11).cos(), (y / 8).sin(), (z / 10 + x / 14).cos()
    ramp = torch.linspace(0, 1, SIZE).expand(SIZE, SIZE)
    vertices = model.vertices(pose=pose)
    return vertices, render(
        *(vertices, model.triangles, SIZE, SIZE),
        colors=0.5 + 0.25 * torch.stack(waves, -1),
        background=torch.stack((ramp, ramp.T, torch.full_like(ramp, 0.5)))[None],
        supersample=2,
    )


def quality(a, b, mask):
    """Peak signal-to-noise ratio in dB of the pixels of a mask."""
    return float(-10 * ((a - b).square().mean(1)[mask]).mean().log10())


@pytest.mark.parametrize("yaw, turn, threshold", [(0, 20, 28), (20, 20, 40), (-30, -30, 40)])
def test_a_turned_picture_is_the_picture_of_the_turned_face(model, yaw, turn, threshold):
    pose = poses(float(yaw))
    vertices, before = draw(model, pose)
    result = profile_face(before.image, vertices, model.triangles, pose, float(turn))
    angles = angles_from_rotation(result.pose.rotation)
    torch.testing.assert_close(angles, torch.tensor([[5.0, yaw + turn, -4.0]]), atol=1e-3, rtol=0)
    expected, after = draw(model, result.pose)
    # The labels are exact: those of the model at the new pose.
    torch.testing.assert_close(result.vertices, expected, atol=1e-3, rtol=0)
    landmarks = result.turn.apply(vertices[:, model.landmarks])
    torch.testing.assert_close(
        landmarks, model.landmark_points(pose=result.pose), atol=1e-3, rtol=0
    )
    face = after.mask > 0.99
    reached = quality(result.image, after.image, face)
    assert reached > threshold > quality(before.image, after.image, face) + 8
    # What is far from the face stays as it was.
    edge = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    edge[:, :8], edge[:, :, :8] = True, True
    assert quality(result.image, before.image, edge) > 35


def test_no_turn_changes_nothing(model):
    pose = poses(25.0)
    vertices, before = draw(model, pose)
    result = profile_face(before.image, vertices, model.triangles, pose, 0.0)
    torch.testing.assert_close(result.vertices, vertices, atol=1e-3, rtol=0)
    everything = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    assert quality(result.image, before.image, everything) > 38


def test_faces_of_a_batch_are_turned_one_by_one(model):
    pose = poses(10.0, -20.0)
    vertices, before = draw(model, pose)
    yaw = torch.tensor([15.0, -25.0])
    both = profile_face(before.image, vertices, model.triangles, pose, yaw)
    for i in range(2):
        own = Pose(*(value[i : i + 1] for value in pose))
        one = profile_face(
            before.image[i : i + 1], vertices[i : i + 1], model.triangles, own, yaw[i : i + 1]
        )
        torch.testing.assert_close(one.image[0], both.image[i])
        torch.testing.assert_close(one.vertices[0], both.vertices[i])


def test_a_face_at_the_edge_of_its_picture(model):
    pose = poses(20.0)
    pose = pose._replace(translation=torch.tensor([[20.0, 30.0, 0.0]]))
    vertices, before = draw(model, pose)
    result = profile_face(before.image, vertices, model.triangles, pose, 30.0)
    assert result.image.isfinite().all() and 0 <= result.image.min() <= result.image.max() <= 1.001


def test_the_centre_of_a_turn_stays(model):
    centre = torch.tensor([[50.0, 60.0, 70.0]])
    pose, turn = turn_pose(poses(10.0), torch.tensor([30.0]), centre)
    torch.testing.assert_close(turn.apply(centre[:, None])[:, 0], centre)
    assert float(torch.linalg.det(turn.rotation)) == pytest.approx(1, abs=1e-5)
    assert float(angles_from_rotation(pose.rotation)[0, 1]) == pytest.approx(40, abs=1e-3)


def test_arguments_that_do_not_fit(model):
    pose = poses(20.0)
    vertices, before = draw(model, pose)

    def turn(image=before.image, vertices=vertices, pose=pose, yaw=10.0):
        return profile_face(image, vertices, model.triangles, pose, yaw)

    with pytest.raises(ValueError, match=r"a yaw of 95\.0 degrees is beyond 90"):
        turn(yaw=75.0)
    with pytest.raises(ValueError, match=r"vertices must have shape \(N, V, 3\)"):
        turn(vertices=vertices[0])
    with pytest.raises(ValueError, match=r"image must have shape \(1, 3, H, W\)"):
        turn(image=before.image[0])
    with pytest.raises(ValueError, match="pose must be of 1 faces"):
        turn(pose=poses(1.0, 2.0))
    with pytest.raises(ValueError, match="the face covers no pixel"):
        turn(vertices=vertices * torch.tensor([1e-3, 1e-3, 1.0]))
