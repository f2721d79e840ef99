import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from pgnface.evaluation.metrics import Alignment, Surface, icp, vertex_normals


def bumpy(size, count=25):
    """A surface without symmetry: ``(count * count, 3)`` vertices and their triangles."""
    u, v = np.meshgrid(*[np.linspace(-1, 1, count)] * 2)
    height = 0.5 * np.sin(2 * u + 1) + 0.4 * np.cos(3 * v) + 0.3 * u * v
    vertices = size * np.stack((u, 1.2 * v, height), -1).reshape(-1, 3)
    a = np.arange(count * count).reshape(count, count)
    quads = np.stack((a[:-1, :-1], a[:-1, 1:], a[1:, 1:], a[1:, :-1]), -1).reshape(-1, 4)
    return vertices, np.concatenate((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))


VERTICES, TRIANGLES = bumpy(50.0)
TRUE = Alignment(1.0, Rotation.from_rotvec([0.1, -0.08, 0.12]).as_matrix(), np.array([3.0, -2, 4]))


def inner_points(count=400):
    """Points of the surface between its vertices, away from its border."""
    mesh = trimesh.Trimesh(VERTICES, TRIANGLES, process=False)
    points = trimesh.sample.sample_surface(mesh, 3 * count, seed=0)[0]
    return points[np.abs(points[:, :2] / [50, 60]).max(1) < 0.8][:count]


@pytest.mark.parametrize("metric, size", [("point", 1.0), ("plane", 1.0), ("plane", 1.05)])
def test_a_known_motion_is_found_back(metric, size):
    true = TRUE._replace(scale=size)
    points = inner_points()
    result = icp(
        true.inverse().apply(points),
        VERTICES,
        TRIANGLES,
        scale=size != 1,
        metric=metric,
        iterations=200,
        tolerance=1e-9,
    )
    assert result.distances.max() < 0.05
    assert np.abs(result.alignment.rotation - true.rotation).max() < 2e-3
    assert result.alignment.scale == pytest.approx(size, abs=2e-3)
    assert np.allclose(
        result.points, result.alignment.apply(true.inverse().apply(points)), atol=0.05
    )


def test_point_to_plane_needs_fewer_steps():
    source = TRUE.inverse().apply(inner_points())
    steps = {
        metric: icp(source, VERTICES, TRIANGLES, metric=metric, tolerance=1e-4).iterations
        for metric in ("point", "plane")
    }
    assert steps["plane"] < steps["point"] / 2


def test_trimming_ignores_what_the_target_lacks():
    points = inner_points()
    wrong = points[:60] + np.array([0, 0, 30])
    source = TRUE.inverse().apply(np.concatenate((points, wrong)))
    kept = icp(source, VERTICES, TRIANGLES, metric="plane", trim=0.25, tolerance=1e-9)
    assert np.abs(kept.alignment.rotation - TRUE.rotation).max() < 1e-4
    assert not kept.kept[400:].any() and kept.kept.sum() == 345
    assert np.abs(icp(source, VERTICES, TRIANGLES).alignment.rotation - TRUE.rotation).max() > 1e-2
    near = icp(source, Surface(VERTICES, TRIANGLES), metric="plane", max_distance=15)
    assert np.abs(near.alignment.rotation - TRUE.rotation).max() < 1e-4


def test_clouds_of_points():
    source = TRUE.inverse().apply(VERTICES)
    assert icp(source, VERTICES).distances.max() < 1e-6
    larger = icp(VERTICES * 1.03, VERTICES, scale=True)
    assert larger.alignment.scale == pytest.approx(1 / 1.03)
    normals = vertex_normals(VERTICES, TRIANGLES)
    result = icp(source, VERTICES, metric="plane", normals=normals, tolerance=1e-8)
    assert result.distances.max() < 1e-3 and result.converged


def test_steps_are_limited_and_the_start_is_used():
    source = TRUE.inverse().apply(inner_points())
    result = icp(source, VERTICES, TRIANGLES, iterations=2)
    assert result.iterations == 2 and not result.converged
    assert icp(source, VERTICES, TRIANGLES, initial=TRUE).distances.max() < 1e-9
    unmoved = icp(source, VERTICES, TRIANGLES, iterations=0)
    assert np.allclose(unmoved.alignment.rotation, np.eye(3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"trim": 1.0}, "trim must be at least 0 and less than 1"),
        ({"metric": "line"}, "metric must be"),
        ({"metric": "plane"}, "needs triangles or normals"),
        ({"normals": np.zeros((2, 3))}, "normals must have shape"),
        ({"max_distance": 1e-9}, "at least 6 points near the target, got 0 of 625"),
    ],
)
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        icp(VERTICES + 0.5, VERTICES, **arguments)
