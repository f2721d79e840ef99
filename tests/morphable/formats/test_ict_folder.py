"""ICT-FaceKit's folder of OBJ files, written as it is published."""

import json

import numpy as np
import pytest

from pgnface import cli
from pgnface.morphable import load_model
from pgnface.morphable.formats import ict_folder
from tests.models import tiny_model

TOTAL = 26719


def obj(vertices, uv=None, faces=()) -> str:
    lines = ["mtllib ICTFaceModelMaterial.mtl"]
    lines += ["v {:.12f} {:.12f} {:.12f}".format(*row) for row in vertices]
    lines += [] if uv is None else ["vt {:.9f} {:.9f}".format(*row) for row in uv]
    # Corners are vertex/chart and count from 1; the chart's order is its own.
    for face in faces:
        corners = [f"{i + 1}" if uv is None else f"{i + 1}/{len(uv) - i}" for i in face]
        lines.append("f " + " ".join(corners))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of as many vertices as the published one has; the tiny model's are the first."""
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    model = tiny_model()
    rng = np.random.default_rng(0)
    mean = rng.normal(0, 8, (TOTAL, 3))
    mean[: model.vertex_count] = model.mean / 10
    mean[list(ict_folder._LANDMARKS)] = model.landmark_points() / 10
    uv = rng.random((TOTAL, 2))
    quads = [(a, b, c, d) for (a, b, c), (_, _, d) in quads_of(model.triangles.numpy())]
    quads += [(6704, 6705, 6706, 0), (14000, 20000, 26718, 1)]
    files = ("identity001", "identity000", "jawOpen", "browDown_L", "PupilDilate_L")
    shapes = {name: rng.normal(0, 0.1, (TOTAL, 3)) for name in files}
    (folder / ict_folder.NEUTRAL).write_text(obj(mean, uv[::-1], quads))
    for name, shape in shapes.items():
        (folder / f"{name}.obj").write_text(obj(mean + shape))
    listed = {"expressions": ["browDown_L", "jawOpen"]}
    (folder / "vertex_indices.json").write_text(json.dumps(listed))
    return folder, mean, uv, shapes


def quads_of(triangles):
    half = len(triangles) // 2
    return zip(triangles[:half].tolist(), triangles[half:].tolist(), strict=True)


@pytest.mark.parametrize("above", [False, True])
def test_a_written_folder_comes_back(published, above):
    folder, mean, uv, shapes = published
    model = load_model(folder.parent if above else folder)
    assert model.vertex_count == 6706
    np.testing.assert_allclose(model.mean, 10 * mean[:6706], atol=1e-4)
    expected = [shapes[key][:6706] * 10 for key in ("identity000", "identity001")]
    np.testing.assert_allclose(model.identity_basis, expected, atol=1e-4)
    assert model.expression_names == ("browDown_L", "jawOpen")
    np.testing.assert_allclose(model.expression_basis[1], 10 * shapes["jawOpen"][:6706], atol=1e-4)
    used = model.triangles.unique()
    np.testing.assert_allclose(model.uv[used, 0], uv[used, 0], atol=1e-6)
    np.testing.assert_allclose(model.uv[used, 1], 1 - uv[used, 1], atol=1e-6)
    # Each quad is two triangles with the tiny model's corners; those beyond the region are gone.
    assert len(model.triangles) == len(tiny_model().triangles)
    assert set(map(tuple, np.sort(model.triangles, 1).tolist())) == set(
        map(tuple, np.sort(tiny_model().triangles, 1).tolist())
    )
    assert any("PupilDilate_L" in note for note in model.notes)
    assert model.landmarks[[0, 8, 31, 67]].tolist() == [1225, 966, 1140, 5966]


def test_regions(published, tmp_path):
    folder, *_ = published
    face = load_model(folder, region="face")
    assert face.vertex_count == 9409 and len(face.triangles) == len(tiny_model().triangles) + 2
    with pytest.raises(ValueError, match="region: expected one of narrow face"):
        load_model(folder, region="nose")
    with pytest.raises(ValueError, match="has no regions, got 'face'"):
        load_model("default", region="face")
    output = tmp_path / "face.npz"
    cli.main(["model", "convert", str(folder), str(output), "--region", "face"])
    assert load_model(output).vertex_count == 9409


def test_another_order_of_the_vertices_is_refused(published, tmp_path):
    _, mean, uv, _ = published
    quads = [(0, 1, 2, 3)]
    (tmp_path / ict_folder.NEUTRAL).write_text(obj(np.roll(mean, 7, axis=0), uv, quads))
    with pytest.raises(ValueError, match="order that the readme's landmarks"):
        load_model(tmp_path)
    assert load_model(tmp_path, landmarks=range(68)).landmarks[67] == 67


@pytest.mark.kit
def test_landmarks_are_those_of_the_kit(kit):
    with np.load(kit / "models" / "ict_face.npz") as arrays:
        np.testing.assert_array_equal(ict_folder._LANDMARKS, arrays["landmarks68"])
        assert len(arrays["mean"]) == ict_folder.REGIONS["narrow face"]


def test_damaged_folders_are_named(tmp_path):
    model = tiny_model()
    mean = model.mean.numpy() / 10
    neutral = tmp_path / ict_folder.NEUTRAL
    triangles = model.triangles.tolist()
    neutral.write_text(obj(mean, faces=triangles))
    (tmp_path / "jawOpen.obj").write_text(obj(mean[:-1]))
    with pytest.raises(ValueError, match=r"jawOpen\.obj: expected 221 vertices .* got 220"):
        load_model(tmp_path, landmarks=range(68))
    (tmp_path / "jawOpen.obj").write_text(obj(mean + 1))
    loaded = load_model(tmp_path, landmarks=range(68))  # without texture coordinates
    assert any("computed" in note for note in loaded.notes)
    np.testing.assert_allclose(loaded.expression_basis, np.full((1, 221, 3), 10), atol=1e-3)
    (tmp_path / "vertex_indices.json").write_text('{"expressions": ["smile"]}')
    with pytest.raises(ValueError, match=r"lists smile, but there is no smile\.obj"):
        load_model(tmp_path, landmarks=range(68))
    neutral.write_text(obj(mean, faces=[(0, 1, 500)]))
    with pytest.raises(ValueError, match="polygons of vertices 1 to 221"):
        load_model(tmp_path, landmarks=range(68))
    neutral.write_text("v 1 2 x\n")
    with pytest.raises(ValueError, match="damaged lines 'v'"):
        load_model(tmp_path, landmarks=range(68))
