"""The steps from a file's arrays to ours, each on numbers that can be checked by hand."""

import h5py
import numpy as np
import pytest
import torch

from pgnface.morphable import load_model
from pgnface.morphable.formats.assemble import (
    crop,
    ids_of,
    landmarks_of,
    modes_of,
    outward,
    points_of,
    triangles_of,
)
from tests.models import tiny_model

from .writers import Parts

TETRAHEDRON = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
OUTSIDE = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


@pytest.mark.parametrize("offset", (0, 50, -50))
def test_a_closed_mesh_is_turned_outward_wherever_it_is(offset):
    for triangles in (OUTSIDE, OUTSIDE[:, ::-1]):
        turned = outward(TETRAHEDRON + offset, triangles)
        a, b, c = TETRAHEDRON[turned].transpose(1, 0, 2)
        away = (a + b + c) / 3 - TETRAHEDRON.mean(0)
        assert ((np.cross(b - a, c - a) * away).sum(1) > 0).all()


@pytest.mark.parametrize("offset", (0.0, 300.0, -300.0))
def test_an_open_face_is_turned_to_the_viewer(offset):
    model = tiny_model()
    mean, triangles = model.mean.numpy() + offset, model.triangles.numpy()
    assert (outward(mean, triangles) == triangles).all()
    assert (outward(mean, triangles[:, ::-1]) == triangles).all()


def test_ids_out_of_range_are_named():
    with pytest.raises(ValueError, match="triangles: expected ids from 0 to 3, got 0 to 4"):
        outward(TETRAHEDRON, np.array([[0, 1, 4]]))


def test_modes_are_columns_times_their_deviations():
    columns = np.arange(12.0).reshape(6, 2)  # two vertices, two modes
    got = modes_of(columns, "w", 2, [10, 100, 1000])
    np.testing.assert_array_equal(got[1], [[100, 300, 500], [700, 900, 1100]])
    np.testing.assert_array_equal(modes_of(columns, "w", 2)[0], [[0, 2, 4], [6, 8, 10]])
    with pytest.raises(ValueError, match=r"w: expected shape \(9, \*\), three rows for each"):
        modes_of(columns, "w", 3)
    with pytest.raises(ValueError, match="a standard deviation for each of 2 modes, got 1"):
        modes_of(columns, "w", 2, [1])


def test_points_are_read_in_threes():
    np.testing.assert_array_equal(
        points_of(np.arange(6).reshape(6, 1), "u"), [[0, 1, 2], [3, 4, 5]]
    )
    with pytest.raises(ValueError, match="u: expected three numbers for each vertex, got 5"):
        points_of(np.arange(5), "u")


def test_triangles_lie_in_rows_or_columns():
    rows = [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(
        triangles_of(np.transpose(rows), "tri", first=1), np.array(rows) - 1
    )
    np.testing.assert_array_equal(triangles_of(np.array(rows, float), "tri"), rows)
    with pytest.raises(ValueError, match=r"tri: expected shape \(T, 3\) or \(3, T\), got \(4, 2\)"):
        triangles_of(np.zeros((4, 2)), "tri")


def test_landmarks_are_ids_or_places_in_the_flat_vertices():
    ids = np.arange(68) * 5
    places = (3 * ids[:, None] + np.arange(3)).ravel()
    np.testing.assert_array_equal(landmarks_of(places, "keypoints"), ids)
    np.testing.assert_array_equal(landmarks_of(ids[None] + 1, "keypoints", first=1), ids)
    with pytest.raises(ValueError, match="keypoints: expected 68 vertex ids or 204 places"):
        landmarks_of(np.arange(86), "keypoints")
    for wrong in (np.full(68, 0.5), np.array(["a"] * 68)):
        with pytest.raises(ValueError, match="keypoints: expected whole numbers"):
            ids_of(wrong, "keypoints")


def test_cropping_keeps_whole_triangles():
    triangles = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    kept = np.array([4, 2, 3])
    np.testing.assert_array_equal(crop(triangles, kept, 5), [[1, 2, 0]])


def test_the_2009_model_in_hdf5_has_no_expressions(tmp_path):
    parts, expected = Parts(tiny_model()), tiny_model()
    with h5py.File(tmp_path / "model2009-publicmm1-bfm.h5", "w") as file:
        file["shape/model/mean"] = parts.mean.ravel()
        file["shape/model/pcaBasis"] = parts.identity
        file["shape/model/pcaVariance"] = parts.identity_std**2
        file["representer/cells"] = parts.triangles.T
    model = load_model(tmp_path / "model2009-publicmm1-bfm.h5", landmarks=parts.landmarks)
    assert torch.allclose(model.identity_basis, expected.identity_basis, atol=1e-5)
    assert model.expression_count == 0
    assert any(note.startswith("no expressions") for note in model.notes)
