"""Model files: formats, round trips and files that are wrong."""

import numpy as np
import pytest
import torch
from scipy import sparse

from pgnface.morphable import load_model, save_model
from tests.models import tiny_model


@pytest.fixture
def saved(tmp_path):
    """A file of the tiny model, and its arrays."""
    path = tmp_path / "tiny.npz"
    save_model(tiny_model(), path)
    with np.load(path) as archive:
        return path, dict(archive)


def test_round_trip_is_exact(saved):
    path, _ = saved
    model, expected = load_model(path), tiny_model()
    for key, buffer in expected.named_buffers():
        assert torch.equal(getattr(model, key), buffer), key
    assert model.name == "tiny" and model.license == "generated"
    assert model.expression_names == expected.expression_names
    assert model.region_names == expected.region_names


def test_half_precision_basis_stays_within_its_rounding(saved):
    path, arrays = saved
    arrays["identity_basis"] = arrays["identity_basis"].astype(np.float16)
    arrays["expression_basis"] = arrays["expression_basis"].astype(np.float16)
    np.savez(path, **arrays)
    model, expected = load_model(path), tiny_model()
    error = (model.basis - expected.basis).abs()
    assert (error <= expected.basis.abs() * 2**-11 + 2**-25).all()


def test_operator_expands_a_control_mesh(saved):
    path, arrays = saved
    # Half of the vertices are controls, the others averages of two of them.
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, 110, (111, 2))
    averages = sparse.csr_matrix(
        (np.full(222, 0.5), (np.repeat(np.arange(111), 2), pairs.ravel())), (111, 110)
    )
    operator = sparse.vstack((sparse.identity(110), averages)).tocsr()
    control = {k: arrays[k][..., :110, :] for k in ("mean", "identity_basis", "expression_basis")}
    np.savez(
        path,
        **(arrays | control),
        operator_data=operator.data.astype(np.float32),
        operator_indices=operator.indices.astype(np.uint16),
        operator_indptr=operator.indptr,
    )
    model = load_model(path)
    assert model.vertex_count == 221
    for key in control:
        expanded = np.einsum("vc,...cx->...vx", operator.toarray(), control[key])
        np.testing.assert_allclose(getattr(model, key).numpy(), expanded, atol=1e-4)


@pytest.mark.kit
def test_ict_model_is_recognised(kit):
    model = load_model(kit / "models" / "ict_face.npz")
    assert model.vertex_count == 6706 and model.identity_count == 100
    assert model.expression_count == 53 and model.name == "ict_face"
    points = model.landmark_points()
    eyes = points[42:48].mean(0) - points[36:42].mean(0)
    assert 55 < eyes[0] < 75  # millimetres, and the left eye lies to positive x
    chart = model.uv[model.landmarks]
    assert chart[8, 1] > chart[27, 1]  # v grows downwards: the chin is below the nose
    assert "eyeBlink_L" in model.expression_names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": None}, "missing mean; found"),
        ({"landmarks": None, "uv": None}, "missing uv, landmarks; found"),
        ({"mean": np.zeros((221, 2))}, "mean: expected shape"),
        ({"mean": np.full((221, 3), np.nan)}, "mean: expected finite values"),
        ({"identity_basis": np.zeros((4, 220, 3))}, "identity_basis: expected shape"),
        ({"triangles": np.array([[0, 1, 999]])}, "triangles: expected ids from 0 to 220"),
        ({"triangles": np.zeros((1, 3))}, "triangles: expected an integer tensor"),
        ({"landmarks": np.zeros(51, int)}, "landmarks: expected shape"),
        ({"regions": np.full(221, 3)}, "regions: expected ids from 0 to 0"),
        ({"operator_data": np.zeros(3)}, "missing operator_indices, operator_indptr"),
        (
            {
                "operator_data": np.ones(1),
                "operator_indices": np.array([300]),
                "operator_indptr": np.array([0, 1]),
            },
            "operator_indices: expected ids from 0 to 220",
        ),
        ({"format": "other"}, "unknown format"),
    ],
)
def test_wrong_files_are_refused_by_key(saved, change, message):
    path, arrays = saved
    arrays = {k: v for k, v in (arrays | change).items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert str(path) in str(error.value)


@pytest.mark.kit
def test_ict_file_without_a_key_is_refused(kit, tmp_path):
    with np.load(kit / "models" / "ict_face.npz") as archive:
        arrays = {k: archive[k] for k in archive.files if k != "expression_basis"}
    np.savez(tmp_path / "model.npz", **arrays)
    with pytest.raises(ValueError, match="missing expression_basis"):
        load_model(tmp_path / "model.npz")


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="no face model at nowhere"):
        load_model("nowhere/model.npz")


def test_not_an_archive(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="not a readable npz file"):
        load_model(path)
    np.savez(path, anything=np.zeros(3))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="not a readable npz file"):
        load_model(path)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, mean=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="not a readable npz file"):
        load_model(path)
