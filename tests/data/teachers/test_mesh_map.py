"""Meshes to landmarks, on meshes whose landmarks are known."""

import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.teachers.mesh_map import (
    MeshMap,
    centre_depth,
    face_frames,
    fit_mesh_map,
    level_angles,
    mirror_numbers,
)

from .meshes import LANDMARKS, MIRROR, TEMPLATE, face_meshes


@pytest.fixture(scope="module")
def fitted():
    meshes, mirrored = face_meshes(60)
    return fit_mesh_map(meshes, mirrored, meshes[:, LANDMARKS], ridge=1e-9)


def turned(mesh, degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return mesh @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T


def test_mirror_numbers_are_found():
    np.testing.assert_array_equal(mirror_numbers(*face_meshes(20)), MIRROR)


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 0.0, 75.0])
def test_roll(degrees):
    angle = level_angles(turned(TEMPLATE, degrees)[None])
    np.testing.assert_allclose(np.rad2deg(angle), degrees, atol=1e-9)


def test_roll_of_a_profile_does_not_hang_on_its_eyes():
    mesh = turned(TEMPLATE * [0.01, 1, 1], 20)
    mesh[33, 1] += 1  # nearly as much as the eyes are apart
    np.testing.assert_allclose(np.rad2deg(level_angles(mesh[None])), 20, atol=1)


def test_frames_are_left_as_they_are_entered():
    meshes, _ = face_meshes(5)
    frames = face_frames(meshes)
    inside = frames.enter(meshes)
    np.testing.assert_allclose(inside.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(inside).sum(-1).mean(1), 1)
    np.testing.assert_allclose(level_angles(inside), 0, atol=1e-12)
    np.testing.assert_allclose(frames.leave(inside), meshes)


def test_landmarks_of_other_faces(fitted):
    """60 faces span few of the 1404 directions: what they do not show is of the mean."""
    meshes, _ = face_meshes(10, seed=1)
    true = centre_depth(meshes[:, LANDMARKS])
    plain = face_frames(meshes)
    mean = centre_depth(plain.leave(np.tile(fitted.landmark_mean.reshape(1, 68, 3), (10, 1, 1))))
    error, of_mean = (np.linalg.norm(p - true, axis=-1).mean() for p in (fitted(meshes), mean))
    assert error < 0.97 * of_mean < 8
    known, mirrored = face_meshes(60)
    np.testing.assert_allclose(fitted(known), centre_depth(known[:, LANDMARKS]), atol=1e-2)
    np.testing.assert_allclose(
        fitted(mirrored[:, MIRROR]), centre_depth(known[:, LANDMARKS]), atol=1e-2
    )


def test_the_map_follows_the_face(fitted):
    meshes, _ = face_meshes(3, seed=2)
    moved = 1.7 * turned(meshes, 25) + [5, -9, 40]
    expected = centre_depth(1.7 * turned(fitted(meshes), 25) + [5, -9, 40])
    np.testing.assert_allclose(fitted(moved), expected, atol=1e-8)


def test_faces_of_no_weight_teach_nothing():
    meshes, mirrored = face_meshes(20)
    landmarks = meshes[:, LANDMARKS].copy()
    landmarks[10:] += 50
    weights = np.r_[np.ones(10), np.zeros(10)]
    half = fit_mesh_map(meshes[:10], mirrored[:10], landmarks[:10], ridge=2e-4)
    weighted = fit_mesh_map(meshes, mirrored, landmarks, weights, ridge=1e-4)
    np.testing.assert_allclose(weighted(meshes), half(meshes), atol=1e-6)


def test_files(fitted, tmp_path):
    fitted.save(tmp_path / "map.npz")
    again = MeshMap.load(tmp_path / "map.npz")
    assert again.digest == fitted.digest
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    np.savez(
        tmp_path / "small.npz",
        **dict.fromkeys(("weights", "mesh_mean", "landmark_mean", "mirror"), np.zeros(3)),
    )
    for name in ("other", "small", "missing"):
        with pytest.raises(UserError, match=name):
            MeshMap.load(tmp_path / f"{name}.npz")


def test_wrong_shapes():
    meshes, mirrored = face_meshes(2)
    with pytest.raises(ValueError, match=r"\(N, 68, 3\)"):
        fit_mesh_map(meshes, mirrored, meshes)
