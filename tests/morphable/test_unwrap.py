"""Texture coordinates made from the surface alone."""

import numpy as np
import pytest
import trimesh

from pgnface.morphable import load_model
from pgnface.morphable.unwrap import border_loops, overlap, unwrap
from tests.models import tiny_model


def head() -> tuple[np.ndarray, np.ndarray]:
    """A long sphere, open at the neck, with two eyeballs as parts of their own."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=100)
    points = ball.vertices * (0.8, 1.2, 1)
    skin = ball.faces[(points[ball.faces][..., 1] > -100).any(1)]
    eye = trimesh.creation.icosphere(subdivisions=2, radius=12)
    parts = [eye.faces + len(points) + i * len(eye.vertices) for i in range(2)]
    eyes = [np.add(eye.vertices, (x, 20, 70)) for x in (-30, 30)]
    return np.concatenate((points, *eyes)), np.concatenate((skin, *parts))


def folded(uv: np.ndarray, triangles: np.ndarray) -> float:
    """The part of the area that is flipped, by arithmetic of its own: complex numbers."""
    a, b, c = (uv.astype(np.float64)[triangles] @ (1, -1j)).T
    area = (np.conj(b - a) * (c - a)).imag
    return float(-area[area < 0].sum() / np.abs(area).sum())


def check(uv: np.ndarray, count: int) -> None:
    assert uv.shape == (count, 2) and uv.dtype == np.float32
    assert np.isfinite(uv).all() and uv.min() >= 0 and uv.max() <= 1


@pytest.mark.parametrize(
    "file",
    [
        "default",
        pytest.param("models/ict_face.npz", marks=pytest.mark.kit),
        pytest.param("samples/sfm_shape_3448.bin", marks=pytest.mark.kit),
    ],
)
def test_face_models_are_not_folded(file, request):
    model = load_model(file if file == "default" else request.getfixturevalue("kit") / file)
    triangles = model.triangles.numpy()
    uv = unwrap(model.mean.numpy(), triangles)
    check(uv, model.vertex_count)
    assert folded(uv, triangles) < 1e-3
    places = uv[model.landmarks]
    assert places[8, 1] > places[57, 1] > places[33, 1] > places[27, 1]  # down the face
    assert places[36:42, 0].max() < places[27, 0] < places[42:48, 0].min()  # right eye at low u


def test_a_turned_face_surface_is_put_upright():
    model = tiny_model()
    points, triangles = model.mean.double().numpy(), model.triangles.numpy()
    uv = unwrap(points, triangles)
    assert folded(uv, triangles) == 0
    top, left = points[:, 1].argmax(), points[:, 0].argmax()
    assert uv[top, 1] < 0.1 and uv[left, 0] > 0.9


def test_a_head_is_opened_at_its_neck_and_eyeballs_get_their_own_place():
    points, triangles = head()
    uv = unwrap(points, triangles)
    check(uv, len(points))
    count = trimesh.creation.icosphere(subdivisions=3).vertices.shape[0]
    skin = triangles[(triangles < count).all(1)]
    assert folded(uv, skin) < 1e-3
    used = np.unique(skin)
    front, left = used[points[used, 2].argmax()], used[points[used, 0].argmax()]
    assert uv[front, 1] > uv[points[:, 1].argmax(), 1]  # the face below the crown
    assert uv[left, 0] > uv[front, 0]
    first, second = np.split(np.arange(count, len(points)), 2)
    assert uv[first, 1].min() > uv[used, 1].max()
    assert uv[first, 0].max() < uv[second, 0].min() or uv[second, 0].max() < uv[first, 0].min()


def test_closed_degenerate_and_unused_parts_get_finite_coordinates():
    ball = trimesh.creation.icosphere(subdivisions=2)
    points = np.concatenate((ball.vertices, ball.vertices[:1], [[0, 0, 2.0], [0, 5, 0], [1, 5, 0]]))
    n = len(ball.vertices)
    # A sliver from a doubled vertex, a sheet with two sides, and one vertex in no triangle.
    odd = [[0, n, ball.faces[0, 1]], [n + 2, n + 3, 1], [n + 3, n + 2, 1]]
    check(unwrap(points, np.concatenate((ball.faces, odd))), len(points))
    alone = unwrap(points, ball.faces)
    check(alone, len(points))
    np.testing.assert_array_equal(alone[n], alone[0])


def test_borders_that_touch_are_loops_of_their_own():
    # Two triangles that share one vertex.
    loops = border_loops(np.array([[0, 1, 2], [0, 3, 4]]))
    assert sorted(sorted(loop.tolist()) for loop in loops) == [[0, 1, 2], [0, 3, 4]]


def test_overlap_is_the_flipped_share():
    uv = np.array([[0, 0], [0, 1], [1, 0], [-0.5, 0]])
    assert overlap(uv, np.array([[0, 1, 2]])) == 0
    assert overlap(uv, np.array([[0, 1, 2], [0, 1, 3]])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("points", "triangles", "match"),
    [
        (np.zeros((3, 2)), [[0, 1, 2]], "vertices: expected shape"),
        (np.zeros((3, 3)), np.zeros((0, 3)), "triangles: expected shape"),
        (np.zeros((3, 3)), [[0, 1, 3]], "from 0 to 2, got 0 to 3"),
    ],
)
def test_wrong_input_is_named(points, triangles, match):
    with pytest.raises(ValueError, match=match):
        unwrap(points, triangles)
