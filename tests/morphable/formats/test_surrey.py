"""The Surrey model as eos writes it: the kit's real files, and small ones in the same format."""

import struct

import numpy as np
import pytest
import torch

from pgnface.morphable import load_model
from pgnface.morphable.description import describe_model

V = 900  # the contour's ids go up to 807


def matrix(array) -> bytes:
    array = np.asarray(array, "<f4")
    return struct.pack("<ii", *array.shape) + array.tobytes(order="F")


def write(folder, *, version=1, uv=True, expressions=True, extra=b""):
    """A wavy sheet with two modes and the landmarks' ids, and what went into it."""
    rng = np.random.default_rng(0)
    mean = rng.normal(0, 40, (V, 3))
    modes = np.linalg.qr(rng.normal(size=(3 * V, 2)))[0]
    triangles = rng.permutation(V).reshape(-1, 3)
    coordinates = rng.random((V, 2))
    empty = matrix(np.zeros((0, 1))) + matrix(np.zeros((0, 0))) + matrix(np.zeros((0, 1)))
    model = struct.pack("<I", version) + matrix(mean.reshape(-1, 1)) + matrix(modes)
    model += (
        matrix([[9], [4]]) + struct.pack("<Q", len(triangles)) + triangles.astype("<i4").tobytes()
    )
    model += empty + struct.pack("<Q", 0) + struct.pack("<Q", V if uv else 0)
    model += coordinates.astype("<f8").tobytes() if uv else b""
    (folder / "sfm_shape_test.bin").write_bytes(model + extra)
    shapes = rng.normal(size=(2, V, 3))
    if expressions:
        blob = struct.pack("<Q", 2)
        for name, shape in zip((b"anger", b"joy"), shapes, strict=True):
            blob += struct.pack("<Q", len(name)) + name + matrix(shape.reshape(-1, 1))
        (folder / "expression_blendshapes_test.bin").write_bytes(blob)
    points = [9, *(i for i in range(18, 69) if i not in (61, 65))]
    lines = [f"{i} = {i * 10}  # a point" for i in points]
    (folder / "ibug_to_sfm.txt").write_text("[landmark_mappings]\n" + "\n".join(lines))
    return folder / "sfm_shape_test.bin", mean, modes, triangles, coordinates, shapes


def test_a_written_file_comes_back(tmp_path):
    path, mean, modes, triangles, uv, shapes = write(tmp_path)
    model = load_model(path)
    np.testing.assert_allclose(model.mean, mean, rtol=1e-6)
    identity = modes.T.reshape(2, V, 3) * np.array([3, 2]).reshape(2, 1, 1)
    np.testing.assert_allclose(model.identity_basis, identity, atol=1e-6)
    np.testing.assert_allclose(model.expression_basis, shapes, rtol=1e-6)
    assert model.expression_names == ("anger", "joy")
    np.testing.assert_allclose(model.uv, uv, atol=1e-6)
    assert sorted(map(sorted, model.triangles.tolist())) == sorted(map(sorted, triangles.tolist()))
    ids = model.landmarks.tolist()
    assert (ids[8], ids[17], ids[30], ids[67]) == (90, 180, 310, 680)
    assert (ids[60], ids[64]) == (ids[48], ids[54])


def test_what_is_missing_is_said(tmp_path):
    path, *_ = write(tmp_path, expressions=False, uv=False)
    model = load_model(path)
    assert model.expression_count == 0
    assert any("expression_blendshapes" in note for note in model.notes)
    assert any("texture coordinates" in note for note in model.notes)
    (tmp_path / "ibug_to_sfm.txt").unlink()
    assert load_model(path, landmarks=range(68)).landmarks[67] == 67


def test_damaged_files_are_refused(tmp_path):
    path, *_ = write(tmp_path, version=3)
    with pytest.raises(ValueError, match="class version 1, got 3"):
        load_model(path)
    path, *_ = write(tmp_path, extra=b"1234")
    with pytest.raises(ValueError, match="4 bytes more"):
        load_model(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged archive"):
        load_model(path)
    path, *_ = write(tmp_path)
    lines = (tmp_path / "ibug_to_sfm.txt").read_text().replace("31 = 310", "31 = 31000")
    (tmp_path / "ibug_to_sfm.txt").write_text(lines)
    with pytest.raises(ValueError, match="beyond the 900 vertices"):
        load_model(path)
    (tmp_path / "ibug_to_sfm.txt").write_text(lines.replace("31 = 31000", ""))
    with pytest.raises(ValueError, match="no vertex for point 31"):
        load_model(path)


@pytest.mark.kit
def test_the_published_files(kit):
    model = load_model(kit / "samples" / "sfm_shape_3448.bin")
    description = describe_model(model)
    assert description["warnings"] == []
    assert (model.vertex_count, model.identity_count, model.expression_count) == (3448, 63, 6)
    assert description["outer_ocular_mm"] == pytest.approx(92.4, abs=0.1)
    # Orthonormal modes times standard deviations: the first variance of the file is 56502.
    assert model.identity_basis[0].square().sum() == pytest.approx(56502, rel=1e-4)
    gram = model.identity_basis.flatten(1) @ model.identity_basis.flatten(1).T
    off = gram - gram.diag().diag()
    assert off.abs().max() < 1e-4 * gram.max()
    points = model.landmark_points()
    jaw = points[:17]
    # From ear to ear, down to the chin, which lies a little above the contour, and even in spacing.
    assert (jaw[1:, 0] > jaw[:-1, 0] - 3).all()
    assert (jaw[1:8, 1] < jaw[:7, 1]).all() and (jaw[10:, 1] > jaw[9:-1, 1]).all()
    assert (jaw[8, 1] - jaw[[7, 9], 1]).abs().max() < 4
    steps = (jaw[1:] - jaw[:-1]).norm(dim=1)
    assert steps.max() / steps.min() < 2.5
    assert len(set(model.landmarks.tolist())) == 66
    mirrored = points[:17].flip(0) * torch.tensor([-1.0, 1, 1])
    assert (mirrored - jaw).norm(dim=1).max() < 4
