"""The readers of scanned models give back the model that a file in their exact format was written
from: millimetres, our axes, standard deviations, winding, landmarks.
"""

import pickle

import h5py
import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from pgnface.morphable import load_model
from pgnface.morphable.load import model_format
from tests.models import tiny_model

from . import writers

WITH_LANDMARKS = {
    writers.write_bfm2009: "Basel Face Model 2009",
    writers.write_face3d: "Basel Face Model 2009",
    writers.write_deep3d: "Deep3D's BFM_model_front.mat",
    writers.write_bfm_noneck: "3DDFA",
    writers.write_tddfa_folder: "3DDFA",
    writers.write_tddfa_npz: "3DDFA",
    writers.write_tddfa_matlab: "3DDFA",
}
WITHOUT_LANDMARKS = {
    writers.write_bfm2017: "Basel Face Model 2017 or 2019 (HDF5)",
    writers.write_hifi3d: "HIFI3D++",
}


def assert_same(model, expected):
    assert torch.allclose(model.mean, expected.mean, atol=2e-4)
    assert torch.allclose(model.identity_basis, expected.identity_basis, atol=1e-5)
    assert torch.allclose(model.expression_basis, expected.expression_basis, atol=1e-5)
    assert turned(model.triangles) == turned(expected.triangles)
    assert torch.equal(model.landmarks, expected.landmarks)
    assert model.license and 0 <= model.uv.min() <= model.uv.max() <= 1


def turned(triangles):
    """The triangles as a set, each from its smallest corner on: turning is kept, order is not."""
    rows = triangles.tolist()
    return {tuple(row[row.index(min(row)) :] + row[: row.index(min(row))]) for row in rows}


@pytest.mark.parametrize("write", WITH_LANDMARKS)
def test_reading_gives_the_model_back(tmp_path, write):
    path = write(tmp_path, tiny_model())
    assert model_format(path) == WITH_LANDMARKS[write]
    assert_same(load_model(path), tiny_model())


def test_texture_coordinates_are_a_chart_of_the_face(tmp_path):
    """Seen as the face is: u to its left, v down, and no triangle turned over."""
    model = load_model(writers.write_deep3d(tmp_path, tiny_model()))
    a, b, c = model.uv[model.triangles.long()].unbind(1)
    turns = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (turns < 0).all()  # counter-clockwise as v points up
    points = model.uv[model.landmarks]
    assert points[8, 1] > points[30, 1] > points[27, 1] and points[45, 0] > points[36, 0]


@pytest.mark.parametrize("write", WITHOUT_LANDMARKS)
def test_models_without_landmarks_take_the_users(tmp_path, write):
    path = write(tmp_path, tiny_model())
    assert model_format(path) == WITHOUT_LANDMARKS[write]
    assert_same(load_model(path, landmarks=tiny_model().landmarks.numpy()), tiny_model())


@pytest.mark.parametrize("write", [writers.write_bfm2017, writers.write_hifi3d])
def test_landmarks_are_carried_over_where_there_are_none(tmp_path, monkeypatch, write):
    expected = tiny_model()

    def registered(mean, triangles):
        np.testing.assert_allclose(mean, expected.mean.numpy(), atol=1e-3)
        assert turned(torch.from_numpy(triangles)) == turned(expected.triangles)
        return expected.landmarks.numpy()

    monkeypatch.setattr("pgnface.morphable.transfer.landmarks_by_transfer", registered)
    model = load_model(write(tmp_path, expected))
    assert_same(model, expected)
    assert any(note.startswith("landmarks carried over") for note in model.notes)


@pytest.mark.slow
@pytest.mark.kit
def test_carried_over_landmarks_lie_near_the_models_own(kit, tmp_path):
    expected = load_model(kit / "models" / "ict_face.npz")
    model = load_model(writers.write_bfm2017(tmp_path, expected))
    error = (model.landmark_points() - expected.landmark_points()).norm(dim=1)
    # Styles of the jaw differ between models.
    assert error[17:].mean() < 5 and error[:17].mean() < 20


@pytest.mark.parametrize("write", WITH_LANDMARKS)
def test_the_users_landmarks_come_first(tmp_path, write):
    ids = torch.arange(68) + 100
    assert torch.equal(load_model(write(tmp_path, tiny_model()), landmarks=ids).landmarks, ids)


def test_bfm2009_with_3ddfas_expressions(tmp_path):
    path = writers.write_bfm2009(tmp_path, tiny_model(), expressions="Model_Exp.mat")
    model = load_model(path)
    assert_same(model, tiny_model())
    assert "expressions from Model_Exp.mat" in model.notes
    assert "cropped to the 221 vertices that have expressions" in model.notes


def test_deviations_of_3ddfas_expressions_in_a_file_of_their_own(tmp_path):
    path = writers.write_tddfa_matlab(tmp_path, tiny_model())
    sigma = loadmat(tmp_path / "Model_Exp.mat")["sigma_exp"]
    without(tmp_path / "Model_Exp.mat", "sigma_exp")
    with pytest.raises(ValueError, match="missing sigma_exp"):
        load_model(path)
    savemat(tmp_path / "sigma_exp.mat", {"sigma_exp": sigma})
    assert_same(load_model(path), tiny_model())


def test_bfm2009_without_expressions_keeps_every_vertex(tmp_path):
    path = writers.write_bfm2009(tmp_path, tiny_model(), expressions=None)
    model, expected = load_model(path), tiny_model()
    assert model.vertex_count == 221 + 7 and model.expression_count == 0
    assert any(note.startswith("no expressions") for note in model.notes)
    assert "1 triangles that repeat a vertex are left out" in model.notes
    # trimIndex takes the landmarks of the trimmed vertices to all of them.
    points = expected.mean[expected.landmarks]
    assert torch.allclose(model.landmark_points(), points, atol=2e-4)
    assert len(model.triangles) == len(expected.triangles) + 2
    assert torch.isfinite(model.uv).all()


def test_principal_components_are_named_so(tmp_path):
    model = load_model(writers.write_bfm2009(tmp_path, tiny_model()))
    assert model.expression_names == ("pca_0", "pca_1", "pca_2")


def test_bfm2009_mean_expression_of_exp_pca_is_left_out(tmp_path):
    """The writer puts 5 mm there; coefficients of 0 are still the neutral face."""
    model = load_model(writers.write_bfm2009(tmp_path, tiny_model()))
    assert torch.allclose(model.mean, tiny_model().mean, atol=2e-4)


def test_fewer_statistics_than_modes_leave_modes_out(tmp_path):
    """bfm.pkl has 199 + 29 modes and 62 statistics: 12 of the pose, 40 + 10 modes."""
    rng = np.random.default_rng(0)
    contents = {
        "u": tiny_model().mean.numpy().reshape(-1, 1) * 1e3,
        "w_shp": rng.normal(size=(663, 199)),
        "w_exp": rng.normal(size=(663, 29)),
        "tri": tiny_model().triangles.numpy().T,
        "keypoints": (3 * tiny_model().landmarks.numpy()[:, None] + np.arange(3)).ravel(),
    }
    (tmp_path / "bfm.pkl").write_bytes(pickle.dumps(contents))
    std = np.arange(62.0)
    value = {"mean": std, "std": std}
    (tmp_path / "param_mean_std_62d_120x120.pkl").write_bytes(pickle.dumps(value))
    model = load_model(tmp_path / "bfm.pkl")
    assert model.identity_count == 40 and model.expression_count == 10
    expected = contents["w_exp"][:, 3].reshape(-1, 3) * std[12 + 40 + 3] * 1e-3
    np.testing.assert_allclose(model.expression_basis[3].numpy(), expected, rtol=1e-5)


def without(path, key):
    """Write a .mat file, a pickle or a HDF5 file again without one of its keys."""
    if path.suffix == ".mat":
        savemat(path, {k: v for k, v in loadmat(path).items() if k != key and k[0] != "_"})
    elif path.suffix == ".pkl":
        contents = pickle.loads(path.read_bytes())
        del contents[key]
        path.write_bytes(pickle.dumps(contents))
    else:
        with h5py.File(path, "a") as file:
            del file[key]


@pytest.mark.parametrize(
    ("write", "file", "key", "message"),
    [
        (writers.write_bfm2009, None, "tl", "missing tri; found"),
        (writers.write_bfm2009, None, "shapeEV", "missing shapeEV; found"),
        (writers.write_bfm2009, "model_info.mat", "trimIndex", "model_info.mat: missing trimIndex"),
        (writers.write_bfm2009, "model_info.mat", "keypoints", "model_info.mat: missing keypoints"),
        (writers.write_deep3d, None, "exBase", "missing exBase; found"),
        (writers.write_deep3d, None, "meanshape", "missing meanshape; found"),
        (writers.write_bfm_noneck, None, "w_exp", "missing w_exp; found"),
        (writers.write_bfm_noneck, None, "u", "missing u_shp, u_exp; found"),
        (writers.write_tddfa_matlab, None, "sigma", "missing sigma; found"),
        (writers.write_tddfa_matlab, "Model_Exp.mat", "mu_exp", "Model_Exp.mat: missing mu_exp"),
        (writers.write_bfm2017, None, "shape/model/mean", "missing shape/model/mean; found"),
        (writers.write_bfm2017, None, "expression/model/pcaVariance", "missing expression/model"),
        (writers.write_hifi3d, None, "tri", "missing tri; found"),
    ],
)
def test_a_missing_key_is_named(tmp_path, write, file, key, message):
    path = write(tmp_path, tiny_model())
    without(path if file is None else tmp_path / file, key)
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("write", "file", "message"),
    [
        (writers.write_bfm2009, "std_exp.txt", "Exp_Pca.bin: expected its standard deviations"),
        (writers.write_bfm2009, "model_info.mat", "221 of the 228 vertices; expected BFM_exp_idx"),
        (writers.write_bfm_noneck, "tri.pkl", r"no triangles \(tri\); expected tri.pkl"),
        (writers.write_bfm_noneck, "param_mean_std_62d_120x120.pkl", "no standard deviations"),
        (writers.write_tddfa_folder, "u_exp.npy", "missing u_exp"),
        (writers.write_tddfa_folder, "param_whitening.pkl", "no standard deviations"),
        (writers.write_tddfa_matlab, "Model_Exp.mat", "expected Model_Exp.mat beside the file"),
    ],
)
def test_a_missing_file_is_named(tmp_path, write, file, message):
    path = write(tmp_path, tiny_model())
    (tmp_path / file).unlink()
    with pytest.raises(ValueError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("write", "file", "message"),
    [
        (writers.write_bfm2009, "01_MorphableModel.mat", "not a readable .mat file"),
        (writers.write_bfm2009, "Exp_Pca.bin", "Exp_Pca.bin: expected a count of modes"),
        (writers.write_bfm2009, "std_exp.txt", "std_exp.txt: expected numbers|standard deviation"),
        (writers.write_bfm2009, "model_info.mat", "model_info.mat: not a readable .mat file"),
        (writers.write_deep3d, "BFM_model_front.mat", "not a readable .mat file"),
        (writers.write_bfm_noneck, "bfm_noneck_v3.pkl", "not a readable pickle"),
        (writers.write_bfm_noneck, "tri.pkl", "not a readable pickle"),
        (writers.write_tddfa_folder, "w_shp_sim.npy", "w_shp_sim.npy: not a readable npy file"),
        (writers.write_bfm2017, "model2017-1_face12_nomouth.h5", "not a readable HDF5 file"),
        (writers.write_hifi3d, r"HIFI3D++.mat", "not a readable .mat file"),
    ],
)
@pytest.mark.parametrize("length", (0, 0.5))
def test_a_damaged_file_is_named(tmp_path, write, file, message, length):
    path = write(tmp_path, tiny_model())
    data = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(data[: int(len(data) * length)])
    with pytest.raises(ValueError, match=message) as error:
        load_model(path, landmarks=range(68))
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("write", "change", "message"),
    [
        (
            writers.write_deep3d,
            {"idBase": np.zeros((660, 4))},
            r"idBase: expected shape \(663, \*\)",
        ),
        (writers.write_deep3d, {"meanshape": np.zeros((1, 662))}, "meanshape: expected three"),
        (writers.write_deep3d, {"tri": np.ones((5, 4))}, r"tri: expected shape \(T, 3\)"),
        (writers.write_deep3d, {"tri": np.full((5, 3), 0.5)}, "tri: expected whole numbers"),
        (writers.write_deep3d, {"tri": [[1, 2, 999]]}, "triangles: expected ids from 0 to 220"),
        (
            writers.write_deep3d,
            {"keypoints": np.ones((1, 51))},
            "keypoints: expected 68 vertex ids",
        ),
        (writers.write_deep3d, {"keypoints": np.full(68, 300)}, "landmarks: expected ids from 0"),
        (writers.write_bfm2009, {"shapeEV": np.ones((2, 1))}, "shapePC: expected a standard devia"),
        (writers.write_hifi3d, {"mu_shape": np.ones((1, 663))}, "mu_shape: expected a head"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, write, change, message):
    path = write(tmp_path, tiny_model())
    savemat(path, {k: v for k, v in loadmat(path).items() if k[0] != "_"} | change)
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_mat_files_of_version_7_3_are_read(tmp_path):
    """HDF5 with the axes reversed, after a header of 512 bytes."""
    path = writers.write_deep3d(tmp_path, tiny_model())
    arrays = {k: v for k, v in loadmat(path).items() if k[0] != "_"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file[key] = array.T
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(header)
    assert_same(load_model(path), tiny_model())
