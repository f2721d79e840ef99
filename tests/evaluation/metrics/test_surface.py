import numpy as np
import pytest
import trimesh

from pgnface.evaluation import metrics
from pgnface.evaluation.metrics import Surface, point_to_plane, point_to_surface

SQUARE = np.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]])
UP = np.array([0, 0, 0.7])
TWO = np.array([[0, 1, 2], [0, 2, 3]])


def brute_force(points, vertices, triangles):
    """Distances by clamping onto the plane and onto the three edges of every triangle."""
    a, b, c = (vertices[triangles[:, k]][None] for k in range(3))
    p = points[:, None]
    normal = np.cross(b - a, c - a)
    area = (normal**2).sum(-1)
    inside = np.ones((len(points), len(triangles)), bool)
    nearest = np.full(inside.shape, np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        inside &= (np.cross(edge, p - start) * normal).sum(-1) >= 0
        along = ((p - start) * edge).sum(-1) / np.maximum((edge**2).sum(-1), 1e-300)
        foot = start + np.clip(along, 0, 1)[..., None] * edge
        nearest = np.minimum(nearest, np.linalg.norm(p - foot, axis=-1))
    height = np.abs(((p - a) * normal).sum(-1)) / np.sqrt(np.maximum(area, 1e-300))
    return np.where(inside & (area > 0), np.minimum(nearest, height), nearest).min(1)


def test_a_known_displacement_gives_the_known_distance():
    inner = np.array([[1.0, 2, 0], [3, 0.5, 0], [2, 2, 0]])
    assert np.allclose(point_to_surface(inner + UP, SQUARE, TWO), 0.7)
    assert np.allclose(point_to_plane(inner - UP, SQUARE, TWO), -0.7)
    beside = np.array([[7.0, 8, 0], [2, -3, 4]])  # off a corner and off an edge
    assert np.allclose(point_to_surface(beside, SQUARE, TWO), 5)
    assert np.allclose(point_to_plane(beside, SQUARE, TWO), [0, 4])


@pytest.mark.parametrize("spread", [0.02, 1.0, 20.0])
def test_as_every_triangle_tried(spread):
    rng = np.random.default_rng(0)
    mesh = trimesh.creation.icosphere(3)
    # Triangles of very different sizes, some without area, and vertices in no triangle.
    vertices = np.concatenate((mesh.vertices, rng.normal(0, 5, (30, 3)), mesh.vertices[:9] * 9))
    big = rng.integers(0, len(vertices), (12, 3))
    flat = np.array([[0, 0, 5], [7, 7, 7]])
    triangles = np.concatenate((mesh.faces, big, flat))
    points = mesh.vertices[rng.integers(0, len(mesh.vertices), 150)]
    points = points + rng.normal(0, spread, points.shape)
    found = Surface(vertices, triangles).nearest(points)
    expected = brute_force(points, vertices, triangles)
    assert np.abs(found.distances - expected).max() < 1e-9
    assert np.allclose(np.linalg.norm(found.points - points, axis=1), found.distances)
    chosen = zip(points, found.triangles, strict=True)
    own = [brute_force(p[None], vertices, triangles[[t]])[0] for p, t in chosen]
    assert np.allclose(own, expected)


def test_a_point_that_is_far_from_every_triangle():
    """All triangles of a sphere are equally near to its centre."""
    mesh = trimesh.creation.icosphere(3)
    inradius = np.abs((mesh.face_normals * mesh.triangles_center).sum(1)).min()
    assert point_to_surface(np.zeros((1, 3)), mesh.vertices, mesh.faces) == pytest.approx(inradius)


def test_many_points_far_away():
    """Where many triangles are nearly as near, in several rounds of more and more of them."""
    mesh = trimesh.creation.icosphere(3)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    points = 500 * points / np.linalg.norm(points, axis=1, keepdims=True)
    expected = brute_force(points, np.asarray(mesh.vertices), np.asarray(mesh.faces))
    assert np.allclose(point_to_surface(points, mesh.vertices, mesh.faces), expected, atol=1e-9)


def test_normals():
    assert np.allclose(Surface(SQUARE, TWO).normals(), [0, 0, 1])
    flat = Surface(SQUARE, [[0, 0, 1]])
    assert np.allclose(flat.normals([0]), 0)
    normals = metrics.vertex_normals(np.concatenate((SQUARE, [[9, 9, 9]])), TWO)
    assert np.allclose(normals, [[0, 0, 1]] * 4 + [[0, 0, 0]])


@pytest.mark.parametrize(
    "points, vertices, triangles, message",
    [
        (np.zeros((2, 2)), SQUARE, TWO, r"points must have shape \(N, 3\), got \(2, 2\)"),
        (np.full((2, 3), np.nan), SQUARE, TWO, "points must be finite, 2 of 2"),
        (SQUARE, SQUARE, np.zeros((0, 3), int), "at least one, got none"),
        (SQUARE, SQUARE, [[0, 1, 4]], "numbers from 0 to 3, got 0 to 4"),
        (SQUARE, SQUARE, [[0.0, 1, 2]], "triangles must be integers"),
        (SQUARE, np.full((4, 3), np.inf), TWO, "vertices must be finite"),
    ],
)
def test_rejects(points, vertices, triangles, message):
    with pytest.raises(ValueError, match=message):
        point_to_surface(points, vertices, triangles)


def test_no_points():
    assert point_to_surface(np.zeros((0, 3)), SQUARE, TWO).shape == (0,)
