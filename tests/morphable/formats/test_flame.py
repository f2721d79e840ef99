"""FLAME: small files with the published keys, shapes, units and landmark files."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse

from pgnface.morphable import SkinnedModel, load_model
from tests.models import tiny_model

IDENTITIES, EXPRESSIONS = 300, 100


@pytest.fixture(scope="module")
def arrays() -> dict:
    """The tiny model's mesh in metres under FLAME's keys, with random modes and joints."""
    model = tiny_model()
    rng = np.random.default_rng(0)
    count = model.vertex_count
    weights = rng.random((count, 5)) * 0.1
    weights[:, 1] += 1
    weights[:20, 3] += 2
    weights[20:30, 4] += 2
    return {
        "v_template": model.mean.double().numpy() / 1000,
        "shapedirs": rng.normal(0, 1e-3, (count, 3, IDENTITIES + EXPRESSIONS)),
        "posedirs": rng.normal(0, 1e-3, (count, 3, 36)),
        "J_regressor": sparse.csc_matrix(np.eye(5, count)),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64),
        "f": model.triangles.numpy().astype(np.uint32),
        "bs_style": "lbs",
    }


@pytest.fixture(scope="module")
def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles, barycentric coordinates and vertices of landmarks that lie near a corner."""
    model = tiny_model()
    triangles = model.triangles.numpy()
    faces, weights = [], []
    for vertex in model.landmarks.tolist():
        face, corner = np.argwhere(triangles == vertex)[0]
        faces.append(face)
        weights.append(np.where(np.arange(3) == corner, 0.8, 0.1))
    return np.array(faces), np.array(weights), model.landmarks.numpy()


def write(folder, arrays, suffix="pkl"):
    path = folder / f"flame2020.{suffix}"
    if suffix == "npz":
        dense = {**arrays, "J_regressor": arrays["J_regressor"].toarray()}
        np.savez(path, **dense)
    else:
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


@pytest.mark.parametrize("suffix", ["pkl", "npz"])
def test_a_written_file_comes_back(tmp_path, arrays, places, suffix):
    faces, weights, ids = places
    np.savez(
        tmp_path / "flame_static_embedding_68_v4.npz", lmk_face_idx=faces, lmk_b_coords=weights
    )
    model = load_model(write(tmp_path, arrays, suffix))
    assert isinstance(model, SkinnedModel)
    assert (model.identity_count, model.expression_count) == (IDENTITIES, EXPRESSIONS)
    np.testing.assert_allclose(model.mean, tiny_model().mean, rtol=1e-5)
    shapes = arrays["shapedirs"].transpose(2, 0, 1) * 1000
    np.testing.assert_allclose(model.basis, shapes, rtol=1e-5, atol=1e-6)
    assert model.expression_names[0] == "pca_0"
    np.testing.assert_array_equal(model.landmarks, ids)
    assert model.joint_parents == (-1, 0, 1, 1, 1) and model.joint_names[2] == "jaw"
    assert model.region_names == ("skin", "eye_left", "eye_right")
    assert model.regions.bincount().tolist() == [191, 20, 10]
    # Correctives: entry (row 0, column 2) of the neck's rotation is the third of posedirs.
    np.testing.assert_allclose(model.pose_basis[2], arrays["posedirs"][..., 2] * 1000, rtol=1e-5)
    still = model.vertices(joints=torch.zeros(5, 3))
    torch.testing.assert_close(still, model.mean, atol=1e-4, rtol=0)


def test_static_landmarks_take_their_jaw_from_the_frontal_row(tmp_path, arrays, places):
    faces, weights, ids = places
    static = {"lmk_face_idx": faces[17:], "lmk_b_coords": weights[17:]}
    (tmp_path / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static, protocol=2))
    path = write(tmp_path, arrays)
    with pytest.raises(ValueError, match=r"expected flame_dynamic_embedding\.npy beside it"):
        load_model(path)
    turned = np.zeros((79, 17), int), np.full((79, 17, 3), 1 / 3)
    turned[0][0], turned[1][0] = faces[:17], weights[:17]
    dynamic = dict(zip(("lmk_face_idx", "lmk_b_coords"), turned, strict=True))
    np.save(tmp_path / "flame_dynamic_embedding.npy", dynamic)
    model = load_model(path)
    np.testing.assert_array_equal(model.landmarks, ids)
    assert any("flame_dynamic_embedding.npy" in note for note in model.notes)


def test_landmarks_in_one_file_of_all_kinds(tmp_path, arrays, places):
    faces, weights, ids = places
    embedding = {
        "full_lmk_faces_idx": faces[None],
        "full_lmk_bary_coords": weights[None],
        "static_lmk_faces_idx": faces[17:],
    }
    np.save(tmp_path / "landmark_embedding.npy", embedding)
    np.testing.assert_array_equal(load_model(write(tmp_path, arrays)).landmarks, ids)
    # As some are published: of no use here, and not to be unpickled.
    np.save(tmp_path / "landmark_embedding.npy", {**embedding, "dynamic": torch.zeros(2)})
    path = write(tmp_path, arrays)
    with pytest.raises(ValueError, match=r"landmark_embedding\.npy: .*torch.*give landmarks="):
        load_model(path)
    assert load_model(path, landmarks=ids).landmarks.tolist() == ids.tolist()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"shapedirs": np.zeros((221, 3, 10))}, "300 modes of identity .* got 10: a body model"),
        ({"weights": np.zeros((221, 24))}, r"weights: expected numbers of shape \(221, 5\)"),
        ({"posedirs": None}, "missing posedirs"),
    ],
)
def test_wrong_files_are_named(tmp_path, arrays, change, match):
    wrong = {key: value for key, value in {**arrays, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=match):
        load_model(write(tmp_path, wrong), landmarks=range(68))


def test_a_malicious_landmark_file_does_nothing(tmp_path, arrays):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    np.save(tmp_path / "landmark_embedding.npy", {"full_lmk_faces_idx": Evil()})
    with pytest.raises(ValueError, match="refused"):
        load_model(write(tmp_path, arrays))
    assert not (tmp_path / "made").exists()
