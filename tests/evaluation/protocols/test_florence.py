import json

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.metrics import Alignment
from pgnface.evaluation.protocols import florence
from pgnface.evaluation.protocols.florence.evaluate import read_ljson

from .faces import ELSEWHERE, face_mesh, write_mesh

VERTICES, TRIANGLES, IDS = face_mesh(divisions=2)
MARKS = VERTICES[IDS]
TIP = MARKS[30]
BACK = ELSEWHERE.inverse()
DEEPER, BESIDE = np.array([0, 0, 30.0]), np.array([1.0, 0, 0])


def test_deng_ignores_place_and_size():
    moved = ELSEWHERE.apply(VERTICES)
    found = florence.deng_rmse(VERTICES, TIP, moved, TRIANGLES, initial=BACK)
    assert found.rmse < 1e-6 and found.alignment.scale == pytest.approx(100)
    assert np.array_equal(found.kept, np.linalg.norm(VERTICES - TIP, axis=1) <= 95)
    assert not found.kept.all()


def test_deng_measures_a_known_displacement():
    """A plane, and a scan that lies by turns 2 mm before and 2 mm behind it."""
    x, y = np.meshgrid(np.arange(-100.0, 101, 4), np.arange(-100.0, 101, 4))
    sign = np.where((np.arange(x.size) % 2) == 0, 1, -1)
    scan = np.stack((x.ravel(), y.ravel(), 2.0 * sign), 1)
    sheet = np.array([[-900.0, -900, 0], [900, -900, 0], [0, 1500, 0]])
    found = florence.deng_rmse(scan, [0, 0, 0], sheet, [[0, 1, 2]])
    assert found.rmse == pytest.approx(2, rel=1e-3)
    assert np.allclose(np.abs(found.distances), 2, atol=0.02)


def test_ganfit_both_ways():
    moved = ELSEWHERE.apply(VERTICES)
    arguments = (VERTICES, TRIANGLES, TIP, moved, TRIANGLES, ELSEWHERE.apply(TIP))
    assert florence.ganfit_distance(*arguments, initial=BACK) < 1e-3
    other, _, _ = face_mesh([1.5, -1.0], divisions=2)
    there = florence.ganfit_distance(VERTICES, TRIANGLES, TIP, other, TRIANGLES, other[IDS[30]])
    back = florence.ganfit_distance(other, TRIANGLES, other[IDS[30]], VERTICES, TRIANGLES, TIP)
    assert there == pytest.approx(back, rel=0.02) and there > 0.1


def test_prnet_by_other_arithmetic():
    """What ICP finds is not applied: a shift in the picture counts, one in depth does not."""
    marks = MARKS * [1, -1, -1]
    true = VERTICES * [1, -1, -1]
    eyes = np.linalg.norm(marks[36] - marks[45])
    assert florence.prnet_nme(true, true, marks) < 1e-9
    assert florence.prnet_nme(true + DEEPER, true, marks) < 1e-6
    shifted = florence.prnet_nme(true + BESIDE, true, marks)
    assert shifted == pytest.approx(100 / eyes, rel=0.05)
    swollen = true * 1.02
    gaps = swollen[cKDTree(swollen).query(true)[1]] - true
    gaps[:, 2] -= gaps[:, 2].mean()
    expected = 100 * np.linalg.norm(gaps, axis=1).mean() / eyes
    assert florence.prnet_nme(swollen, true, marks) == pytest.approx(expected, rel=0.2)


def test_a_view_shows_the_scan_where_it_says():
    view = florence.render_view(VERTICES, TRIANGLES, MARKS, pitch=10, yaw=-40, size=200)
    assert view.image.shape == (200, 200, 3) and view.image.dtype == np.uint8
    seen = view.image[..., 0] > 0
    rows, columns = np.nonzero(seen)
    low, high = view.vertices[:, :2].min(0), view.vertices[:, :2].max(0)
    assert np.allclose([columns.min(), rows.min()], np.clip(low, 0, 200), atol=1.5)
    assert np.allclose([columns.max() + 1, rows.max() + 1], np.clip(high, 0, 200), atol=1.5)
    frontal = florence.render_view(VERTICES, TRIANGLES, MARKS, size=200)
    assert np.ptp(frontal.landmarks[:, 1]) == pytest.approx(100)
    assert frontal.landmarks[36, 0] < frontal.landmarks[45, 0]


def write_ljson(path, points):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"groups": {"LJSON": {"landmarks": {"points": points.tolist()}}}}))


@pytest.fixture
def data_set(tmp_path):
    """Two people; one video is a folder of two frames. The second one has no landmarks."""
    for person in ("subject_01", "subject_02"):
        place = f"{person}/Model/frontal1/obj"
        write_mesh(tmp_path / "micc" / place / "7.obj", VERTICES, TRIANGLES)
    write_ljson(tmp_path / "marks/subject_01/Model/frontal1/obj/7.ljson", MARKS)
    frames = tmp_path / "micc/subject_01/Video/PTZ-Indoor"
    frames.mkdir(parents=True)
    for i in range(2):
        cv2.imwrite(str(frames / f"{i}.png"), np.zeros((64, 64, 3), np.uint8))
    return tmp_path


def write_prediction(stem, alignment=ELSEWHERE):
    write_mesh(stem.parent / f"{stem.name}.obj", alignment.apply(VERTICES), TRIANGLES)
    np.savetxt(stem.parent / f"{stem.name}.txt", alignment.apply(MARKS))


def test_folders_of_frames(data_set):
    ours = data_set / "ours"
    for frame in ("f1", "f2"):
        write_prediction(ours / f"subject_01/Indoor-Cooperative/{frame}")
    result = florence.evaluate_florence(
        data_set / "micc", data_set / "marks", predictions=ours, protocol="deng"
    )
    mean, std, count = result.tables[0].rows["Indoor-Cooperative"]
    assert mean < 1e-4 and std == 0 and count == 1
    near = np.linalg.norm(VERTICES - TIP, axis=1) <= 95
    assert np.array_equal(np.isfinite(result.error_map.errors), near)
    assert "expected landmarks" in result.skipped["subject_02/frontal1"]
    assert "expected a mesh" in result.skipped["subject_01/PTZ-Outdoor"]


def test_a_mesh_for_each_video(data_set):
    write_prediction(data_set / "ours/subject_01/PTZ-Outdoor", Alignment(1, np.eye(3), np.ones(3)))
    result = florence.evaluate_florence(
        data_set / "micc", data_set / "marks", predictions=data_set / "ours", protocol="ganfit"
    )
    assert list(result.tables[0].rows) == ["PTZ-Outdoor", "all"]
    assert result.tables[0].rows["all"][0] < 1e-3


@pytest.mark.parametrize("protocol", ["deng", "ganfit", "prnet"])
def test_a_network(data_set, tiny_network, monkeypatch, protocol):
    boxes = []
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: boxes)
    folders = data_set / "micc", data_set / "marks"
    with pytest.raises(UserError, match="nothing could be measured"):
        florence.evaluate_florence(*folders, tiny_network, protocol=protocol)
    boxes.append(SquareBox(32.0, 32.0, 40.0))
    result = florence.evaluate_florence(*folders, tiny_network, protocol=protocol)
    rows = result.tables[0].rows
    if protocol == "prnet":
        assert rows["all"][2] == 15 and rows["yaw -80"][2] == 3 and rows["all"][0] > 0
    else:
        assert rows["PTZ-Indoor"][2] == 1 and 0 < rows["all"][0] < 10


def test_bad_arguments(data_set, tmp_path):
    folders = data_set / "micc", data_set / "marks"
    with pytest.raises(UserError, match="protocol must be one of deng, ganfit, prnet"):
        florence.evaluate_florence(*folders, protocol="mine")
    with pytest.raises(UserError, match="pictures that it renders"):
        florence.evaluate_florence(*folders, protocol="prnet", predictions=tmp_path)
    with pytest.raises(UserError, match="frames must be at least 1"):
        florence.evaluate_florence(*folders, frames=0)
    with pytest.raises(ValueError, match="0 vertices lie within 95 mm"):
        florence.deng_rmse(VERTICES, TIP + 1e4, VERTICES, TRIANGLES)
    write_ljson(tmp_path / "a.ljson", MARKS[:51])
    with pytest.raises(UserError, match=r"a\.ljson: expected 68 points in 3D, got shape \(51, 3\)"):
        read_ljson(tmp_path / "a.ljson")
    (tmp_path / "b.ljson").write_text("[]")
    with pytest.raises(UserError, match=r"b\.ljson: is not a file of landmarks"):
        read_ljson(tmp_path / "b.ljson")
