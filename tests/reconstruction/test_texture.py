import pytest
import torch

from pgnface.geometry import Pose, rotation_from_angles
from pgnface.reconstruction.texture import photo_texture, vertex_colors
from tests.models import tiny_model

SIZE = 128


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def posed(model, yaw=0.0):
    pose = Pose(
        torch.tensor(0.5),
        rotation_from_angles(torch.tensor([0.0, yaw, 0.0])),
        torch.tensor([SIZE / 2, SIZE / 2, 0.0]),
    )
    return model.vertices(pose=pose)


def halves():
    """A photo whose left half is red and whose right half is blue."""
    photo = torch.zeros(3, SIZE, SIZE)
    photo[0, :, : SIZE // 2] = 1
    photo[2, :, SIZE // 2 :] = 1
    return photo


def test_seen_vertices_have_the_colours_of_the_photo(model):
    colors, weights = vertex_colors(halves(), posed(model), model)
    left = (model.mean[:, 0] > 15) & (weights > 0.99)  # the subject's left, the photo's right
    right = (model.mean[:, 0] < -15) & (weights > 0.99)
    assert left.sum() > 10 and right.sum() > 10
    assert (colors[left] - torch.tensor([0.0, 0, 1])).abs().max() < 0.02
    assert (colors[right] - torch.tensor([1.0, 0, 0])).abs().max() < 0.02


def test_hidden_vertices_take_the_colour_of_their_mirror_image(model):
    photo = torch.full((3, SIZE, SIZE), 0.25)
    vertices = posed(model, yaw=60.0)
    colors, weights = vertex_colors(photo, vertices, model)
    assert (weights < 0.01).any() and (weights > 0.9).any()
    assert torch.allclose(colors, torch.full_like(colors, 0.25), atol=1e-3)


def test_a_face_outside_the_photo_is_grey(model):
    colors, weights = vertex_colors(halves(), posed(model) + 1000, model)
    assert (weights == 0).all() and (colors == 0.5).all()


def test_texture_shows_the_photo(model):
    texture = photo_texture(halves(), posed(model), model, 64)
    assert texture.shape == (3, 64, 64)
    # The subject's right (red) is on the left of the texture.
    assert texture[0, 32, 16] > 0.95 and texture[2, 32, 48] > 0.95
