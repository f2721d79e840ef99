"""Non-rigid ICP: its linear system, its checks of pairs, and surfaces with a known answer."""

import numpy as np
import pytest

from pgnface.evaluation.metrics import point_to_surface
from pgnface.geometry.registration import nonrigid_icp
from pgnface.geometry.registration.matching import Target, border_edges


def grid(count, height=lambda x, y: 0 * x, low=-1.0, high=1.0):
    """A square of count x count vertices over [low, high], counter-clockwise seen from +z."""
    x, y = (part.ravel() for part in np.meshgrid(*[np.linspace(low, high, count)] * 2))
    ids = np.arange(count * count).reshape(count, count)
    a, b, c, d = (part.ravel() for part in (ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1]))
    triangles = np.concatenate((np.stack((a, b, c), 1), np.stack((a, c, d), 1)))
    return np.stack((x, y, height(x, y)), 1), triangles


def hills(x, y):
    return 0.3 * np.sin(2.5 * x) * np.cos(2 * y) + 0.2 * x * y


@pytest.fixture
def bent():
    """A hilly source and a smoothly bent, finer and wider target."""
    source, triangles = grid(15, hills)
    target, target_triangles = grid(41, hills, -1.5, 1.5)
    x, y, z = target.T
    target = np.stack((1.05 * x, y + 0.08 * np.sin(2 * x), z + 0.1 * y**2), 1)
    return source, triangles, target, target_triangles


def test_one_step_solves_the_papers_system():
    """A dense least-squares solution of eq. 12, with the nearest points on a plane known."""
    rng = np.random.default_rng(0)
    source, triangles = grid(3)
    source[:, 2] = 0.1 * rng.normal(size=9)
    source[0, 0] = -1.0  # the half extent stays 1 and the centre 0
    source[:, 2] -= (source[:, 2].max() + source[:, 2].min()) / 2
    plane, plane_triangles = grid(2, lambda x, y: 0 * x + 0.2, -5, 5)
    got = nonrigid_icp(
        *(source, triangles, plane, plane_triangles),
        stiffness=[2.0],
        iterations=1,
        shear=0.5,
        max_angle=89.0,
        landmarks=([4], [[0.3, 0.1, 0.4]]),
        landmark_weight=3.0,
    )
    edges = {
        tuple(sorted(pair))
        for t in triangles
        for pair in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))
    }
    rows, right = [], []
    for i, j in edges:
        for column, weight in enumerate((1, 1, 1, 0.5)):
            row = np.zeros((9, 4))
            row[i, column], row[j, column] = 2 * weight, -2 * weight
            rows.append(row.ravel())
            right.append(np.zeros(3))
    goals = [(k, (*source[k, :2], 0.2), 1.0) for k in range(9)] + [(4, (0.3, 0.1, 0.4), 3**0.5)]
    for k, goal, weight in goals:
        row = np.zeros((9, 4))
        row[k] = weight * np.array((*source[k], 1))
        rows.append(row.ravel())
        right.append(weight * np.array(goal))
    maps = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0].reshape(9, 4, 3)
    want = np.einsum("ki,kij->kj", np.c_[source, np.ones(9)], maps)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_bent_surface_is_reached(bent):
    source, _, target, target_triangles = bent
    before = point_to_surface(source, target, target_triangles)
    after = point_to_surface(nonrigid_icp(*bent), target, target_triangles)
    assert before.mean() > 0.03
    assert after.mean() < 0.002 and after.max() < 0.01
    soft = nonrigid_icp(*bent, stiffness=(50, 20, 8, 3, 1, 0.3, 0.1, 0.05))
    assert point_to_surface(soft, target, target_triangles).max() < 1e-3


def test_stiff_maps_are_one_affine_map():
    source, triangles = grid(15, hills)
    target, target_triangles = grid(61, hills, -1.5, 1.5)
    matrix = np.array([[1.03, 0.02, 0.0], [-0.02, 0.98, 0.03], [0.0, -0.03, 1.02]])
    shift = np.array([0.02, -0.03, 0.02])
    got = nonrigid_icp(
        *(source, triangles, target @ matrix.T + shift, target_triangles),
        stiffness=[100.0],
        iterations=200,
        tolerance=1e-6,
    )
    # To the flatness of the target's triangles.
    np.testing.assert_allclose(got, source @ matrix.T + shift, atol=0.01)


def test_results_have_the_units_and_the_place_of_the_input(bent):
    source, triangles, target, target_triangles = bent
    shift = np.array([300.0, -20.0, 50.0])
    got = nonrigid_icp(100 * source + shift, triangles, 100 * target + shift, target_triangles)
    np.testing.assert_allclose((got - shift) / 100, nonrigid_icp(*bent), atol=1e-5)


def test_vertices_over_a_hole_follow_their_neighbours(bent):
    source, triangles, target, target_triangles = bent
    centres = target[target_triangles].mean(1)
    kept = np.linalg.norm(centres[:, :2] - (0.2, 0.1), axis=1) > 0.3
    got = nonrigid_icp(source, triangles, target, target_triangles[kept])
    over = np.linalg.norm(got[:, :2] - (0.2, 0.1), axis=1) < 0.28
    assert over.sum() > 5
    assert point_to_surface(got[over], target, target_triangles).max() < 0.03
    # Not drawn to the hole's border: still spread over it.
    assert np.linalg.norm(got[over, :2] - (0.2, 0.1), axis=1).min() < 0.12


def test_landmarks_pull_along_the_surface():
    plane, triangles = grid(11)
    wide, wide_triangles = grid(5, low=-3, high=3)
    ids = np.array([24, 60, 96])
    places = plane[ids] + np.array([0.25, 0.1, 0])
    got = nonrigid_icp(
        plane, triangles, wide, wide_triangles, landmarks=(ids, places), landmark_weight=100
    )
    free = nonrigid_icp(plane, triangles, wide, wide_triangles)
    np.testing.assert_allclose(free, plane, atol=1e-6)
    np.testing.assert_allclose(got[ids], places, atol=0.02)


def test_a_part_without_partners_and_unused_vertices_stay():
    source, triangles = grid(6)
    far = source + np.array([50, 0, 0])
    vertices = np.concatenate((source, far, [[0, 0, 9.0]]))
    target, target_triangles = grid(9, lambda x, y: 0 * x + 0.1, -2, 2)
    got = nonrigid_icp(
        *(vertices, np.concatenate((triangles, triangles + 36)), target, target_triangles),
        max_distance=5,
    )
    np.testing.assert_allclose(got[36:], vertices[36:], atol=1e-4)
    np.testing.assert_allclose(got[:36, 2], 0.1, atol=1e-3)


def test_pairs_are_dropped_for_each_reason():
    square, triangles = grid(3)
    target = Target(square, triangles, max_distance=0.5, max_angle=60)
    up = [0.0, 0.0, 1.0]
    points = [(0.3, 0.2, 0.1), (1.2, 0.1, 0.1), (1.0, -1.0, 0.1), (0, 0, 0.6), (0, 0, 0.1)]
    normals = [up, up, up, up, (0.0, 0.9, 0.43)]
    pairs = target.pair(np.array(points), np.array(normals))
    assert pairs.valid.tolist() == [True, False, False, False, False]
    np.testing.assert_allclose(pairs.points[:2], [(0.3, 0.2, 0), (1, 0.1, 0)], atol=1e-12)
    np.testing.assert_allclose(pairs.distances[0], 0.1)


def test_border_edges_are_those_of_one_triangle():
    # Two triangles on the edge (0, 2).
    got = border_edges(np.array([[0, 1, 2], [0, 2, 3]]))
    assert got.tolist() == [[True, False, True], [True, True, False]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stiffness": []}, "stiffness must be numbers above 0"),
        ({"stiffness": [1, 0]}, "stiffness must be numbers above 0"),
        ({"landmarks": ([0, 1], np.zeros((1, 3)))}, "landmarks.0. must be 1 vertex ids"),
        ({"landmarks": ([9], np.zeros((1, 3)))}, "expected ids from 0 to 8, got 9"),
        ({"landmarks": ([0], [[0, np.nan, 0]])}, "landmarks.1. must be finite"),
        ({"max_distance": 1e-3}, "no vertex has a partner on the target"),
    ],
)
def test_wrong_options_are_named(options, message):
    source, triangles = grid(3)
    with pytest.raises(ValueError, match=message):
        nonrigid_icp(source, triangles, source + np.array([0, 0, 1]), triangles, **options)
