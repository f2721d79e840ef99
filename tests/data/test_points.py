import struct

import numpy as np
import pytest

from pgnface.data.points import PointsError, read_points, read_pts, read_t7

from .faces import write_pts


def t7(values, kind="Double", version=True, strides=None, shape=None):
    """Bytes as Torch 7 writes a tensor."""
    number = {"Double": "<f8", "Float": "<f4", "Int": "<i4"}[kind]
    values = np.ascontiguousarray(values, number)
    shape = values.shape if shape is None else shape
    strides = [s // values.itemsize for s in values.strides] if strides is None else strides

    def head(index, name):
        text = struct.pack("<ii", 4, index)
        if version:
            text += struct.pack("<i3s", 3, b"V 1")
        return text + struct.pack(f"<i{len(name)}s", len(name), name.encode())

    return b"".join(
        (
            head(1, f"torch.{kind}Tensor"),
            struct.pack(f"<i{len(shape)}q{len(shape)}qq", len(shape), *shape, *strides, 1),
            head(2, f"torch.{kind}Storage"),
            struct.pack("<q", values.size),
            values.tobytes(),
        )
    )


POINTS = np.random.default_rng(0).uniform(0, 300, (68, 2))


def test_300w_counts_pixels_from_one(tmp_path):
    points = write_pts(tmp_path / "a.pts")
    np.testing.assert_allclose(read_points(tmp_path / "a.pts"), points, atol=1e-5)
    np.testing.assert_allclose(read_pts(tmp_path / "a.pts"), points + 0.5, atol=1e-5)


def test_spellings_of_pts(tmp_path):
    rows = "\r\n".join(f"{x} {y}" for x, y in POINTS)
    (tmp_path / "a.pts").write_text(f"version: 1 \r\nn_points: 68 \r\n{{ \r\n{rows}\r\n}} ")
    np.testing.assert_allclose(read_points(tmp_path / "a.pts"), POINTS - 0.5)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "between braces"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 4\n", "between braces"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 x\n}", "pair of numbers"),
        ("version: 1\nn_points: 3\n{\n1 2\n3 4\n}", "expected 3 points in 2D, got"),
        ("n_points: 2\n{\n1 2 3\n3 4 5\n}", "expected 2 points in 2D, got"),
        ("n_points: 2\n{\n1 2\n3 4\n}", "expected 68 points in 2D or 3D"),
        ("n_points: 68\n{\n" + "1 2\n" * 68 + "}", "span an area"),
        ("n_points: 68\n{\n" + "1 nan\n" * 68 + "}", "finite"),
    ],
)
def test_damaged_pts(tmp_path, text, message):
    (tmp_path / "a.pts").write_text(text)
    with pytest.raises(PointsError, match=rf"a\.pts: .*{message}"):
        read_points(tmp_path / "a.pts")


@pytest.mark.parametrize("kind", ["Double", "Float"])
@pytest.mark.parametrize("version", [True, False])
@pytest.mark.parametrize("columns", [2, 3])
def test_tensors_of_torch_7(tmp_path, kind, version, columns):
    values = np.random.default_rng(1).uniform(0, 300, (68, columns))
    (tmp_path / "a.t7").write_bytes(t7(values, kind, version))
    np.testing.assert_allclose(read_t7(tmp_path / "a.t7"), values, rtol=1e-6)
    points = read_points(tmp_path / "a.t7")
    np.testing.assert_allclose(points[:, :2], values[:, :2] + 0.5, rtol=1e-6)
    np.testing.assert_allclose(points[:, 2:], values[:, 2:], rtol=1e-6)


def test_strides_of_a_tensor(tmp_path):
    (tmp_path / "a.t7").write_bytes(t7(POINTS.T.copy(), shape=(68, 2), strides=(1, 68)))
    np.testing.assert_array_equal(read_t7(tmp_path / "a.t7"), POINTS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        t7(POINTS)[:-8],
        t7(POINTS)[:40],
        t7(np.ones((68, 2), int), "Int"),
        t7(POINTS, shape=(68, 3), strides=(3, 1)),
        struct.pack("<i", 2) + bytes(60),
        t7(POINTS, shape=(1 << 40, 1 << 20), strides=(0, 0)),
        t7(POINTS, shape=(68, 2), strides=(-2, 1)),
    ],
)
def test_damaged_tensors(tmp_path, data):
    (tmp_path / "a.t7").write_bytes(data)
    with pytest.raises(PointsError, match=r"a\.t7: is no tensor of Torch 7"):
        read_points(tmp_path / "a.t7")


def test_missing_files(tmp_path):
    for suffix in (".pts", ".t7"):
        with pytest.raises(PointsError, match="cannot be read"):
            read_points(tmp_path / f"none{suffix}")
