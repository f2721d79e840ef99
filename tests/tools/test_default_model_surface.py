"""The mesh steps of the built-in model's generator."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from default_model import chart, modes, surface

from pgnface.morphable.unwrap import border_loops, overlap

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def grid(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A curved sheet of n x n vertices, quads counter-clockwise seen from +z."""
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(1, -1, n))
    points = np.stack((x, y, 0.5 - x**2 - 0.3 * y**2), -1).reshape(-1, 3)
    ids = np.arange(n * n).reshape(n, n)
    quads = np.stack((ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]), -1)
    return points, quads.reshape(-1, 4)


def test_catmull_clark_of_a_cube():
    operator, quads = surface.catmull_clark(CUBE_QUADS, 8)
    points = operator @ CUBE
    assert points.shape == (26, 3) and quads.shape == (24, 4)
    np.testing.assert_allclose(operator.sum(1), 1)
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)  # the known corner rule
    np.testing.assert_allclose(np.abs(points[8:20]).sum(1), 1.5)  # edge points (0.75, 0.75, 0)
    np.testing.assert_allclose(np.abs(points[20:]).sum(1), 1)  # face points


def test_catmull_clark_keeps_borders_and_unused_vertices():
    points, quads = grid(4)
    operator, _ = surface.catmull_clark(quads, 17)
    fine = operator @ np.concatenate((points, [[9.0, 9, 9]]))
    np.testing.assert_allclose(fine[16], 9)
    np.testing.assert_allclose(fine[1], 0.75 * points[1] + 0.125 * (points[0] + points[2]))


def test_split_quads_takes_the_shorter_diagonal():
    points = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [1, 1, 0]], float)
    triangles = surface.split_quads(np.array([[0, 1, 2, 3]]), points)
    assert sorted(map(sorted, triangles.tolist())) == [[0, 1, 3], [1, 2, 3]]


def test_border_loops_follow_the_triangles():
    points, quads = grid(3)
    (loop,) = border_loops(surface.split_quads(quads, points))
    assert len(loop) == 8
    x, y = points[loop, 0], points[loop, 1]
    area = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    assert area > 0  # counter-clockwise, as the triangles


def test_mirror_map_refuses_an_asymmetric_mesh():
    points, _ = grid(3)
    assert surface.mirror_map(points)[0] == 2
    points[0, 1] += 0.1
    with pytest.raises(ValueError, match="not symmetric"):
        surface.mirror_map(points)


def test_chart_is_injective_and_symmetric():
    points, quads = grid(9)
    triangles = surface.split_quads(quads, points)
    uv = chart.flatten(points, triangles)
    assert overlap(uv, triangles) == 0
    mirror = surface.mirror_map(points)
    np.testing.assert_allclose(uv[mirror], uv * (-1, 1) + (1, 0), atol=1e-9)
    assert uv[0, 0] < 0.5 < uv[8, 0] and uv[0, 1] < 0.5 < uv[-1, 1]


def test_modes_recover_a_symmetric_and_an_antisymmetric_deviation():
    points, _ = grid(7)
    points *= 50
    mirror = surface.mirror_map(points)
    rng = np.random.default_rng(0)
    symmetric = np.zeros_like(points)
    symmetric[:, 2] = np.cos(points[:, 0] / 20)
    oblique = np.zeros_like(points)
    oblique[:, 2] = np.sin(points[:, 0] / 10) * points[:, 1] / 50
    weights = rng.normal(0, (3, 1), (400, 2))
    heads = points + weights[:, :1, None] * symmetric + weights[:, 1:, None] * oblique
    used = np.ones(len(points), bool)
    found = modes.identity_modes(heads, points, mirror, used, 2)
    assert found.held > 0.95
    first, second = found.basis
    flip = np.array((-1, 1, 1))
    np.testing.assert_allclose(first[mirror] * flip, first, atol=1e-9)
    np.testing.assert_allclose(second[mirror] * flip, -second, atol=1e-9)
    np.testing.assert_allclose(found.mean[mirror] * flip, found.mean, atol=1e-9)


def test_align_removes_a_similarity():
    points, _ = grid(5)
    angle = 0.4
    turn = np.array(
        ((np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0), (0, 0, 1))
    )
    moved = 3 * points @ turn.T + (1, 2, 3)
    aligned = modes.align(moved[None], points, np.ones(len(points), bool))
    np.testing.assert_allclose(aligned[0], points, atol=1e-9)
