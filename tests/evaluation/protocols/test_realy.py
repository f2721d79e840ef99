import json

import cv2
import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.metrics import Surface
from pgnface.evaluation.protocols import realy

from .faces import ELSEWHERE, face_mesh, write_mesh

VERTICES, TRIANGLES, IDS = face_mesh()
VERTICES = VERTICES / 50  # the scans have a unit of their own
KEYPOINTS = np.concatenate((VERTICES[IDS], VERTICES[IDS[:17]]))


def region_mesh(name):
    """The part of the face around the region's key points."""
    marks = KEYPOINTS[[k for k in realy.RIGID_KEYPOINTS[name] if k < 68]]
    near = np.linalg.norm(VERTICES[:, None] - marks[None], axis=-1).min(1) < 0.5
    triangles = TRIANGLES[near[TRIANGLES].all(1)]
    used, triangles = np.unique(triangles, return_inverse=True)
    return VERTICES[used], triangles.reshape(-1, 3)


@pytest.mark.parametrize("name", realy.REGIONS)
def test_a_moved_and_scaled_prediction_has_no_error(name):
    moved, marks = ELSEWHERE.apply(VERTICES), ELSEWHERE.apply(KEYPOINTS)
    result = realy.region_error(name, region_mesh(name), KEYPOINTS, moved, TRIANGLES, marks)
    assert result.error < 1e-3 and result.alignment.scale == pytest.approx(100, rel=1e-3)


def test_a_known_displacement():
    """A shift of all is put back; a dent of the lips is measured, and its double as double."""
    region = region_mesh("mouth")
    lips = sorted(realy.BENDING_KEYPOINTS["mouth"])
    shift = np.array([0, 0.1, 0.0])
    marks = KEYPOINTS.copy()
    moved = VERTICES + shift
    marks += shift
    back = realy.region_error("mouth", region, KEYPOINTS, moved, TRIANGLES, marks)
    assert back.error < 1e-3
    centre = KEYPOINTS[lips].mean(0)
    dent = np.exp(-((np.linalg.norm(VERTICES - centre, axis=1) / 0.4) ** 2))
    errors = []
    for depth in (0.05, 0.1):
        dented = VERTICES - depth * dent[:, None] * [0, 0, 1]
        marks = np.concatenate((dented[IDS], dented[IDS[:17]]))
        found = realy.region_error("mouth", region, KEYPOINTS, dented, TRIANGLES, marks)
        assert 0.05 * depth < found.error < depth
        errors.append(found.error)
    assert errors[1] / errors[0] == pytest.approx(2, rel=0.25)


def test_rigid_alignment_by_weighted_procrustes():
    """Against the minimum of the stated energy: any small motion from there raises it."""
    other, _, _ = face_mesh([2.0, -1.0, 1.0])
    other = other / 50
    marks = other[IDS]
    region, _ = region_mesh("nose")
    chosen = [k for k in realy.RIGID_KEYPOINTS["nose"] if k < 68]
    surface = Surface(other, TRIANGLES)
    found = realy.align_region(surface, marks[chosen], region, KEYPOINTS[chosen])

    def energy(alignment):
        distances = surface.nearest(alignment.inverse().apply(region)).distances
        gaps = np.linalg.norm(alignment.apply(marks[chosen]) - KEYPOINTS[chosen], axis=1)
        return (distances**2).mean() + (gaps**2).mean()

    best = energy(found)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = found._replace(translation=found.translation + rng.normal(0, 0.02, 3))
        assert energy(moved) > best * 0.9999
    assert found.scale == 1


def test_key_points_of_a_topology(tmp_path):
    path = tmp_path / "keypoints.txt"
    path.write_text(json.dumps([[k, 0.5, 0.25] for k in range(85)]))
    table = realy.read_barycentric(path)
    assert table.shape == (85, 3)
    for text in ("[[1, 2]]", "no", "[[-1, 0, 0]]"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"keypoints\.txt: expected"):
            realy.read_barycentric(path)


@pytest.fixture
def data_set(tmp_path):
    """One scan, seen from the front and from a side, at 50 mm a unit."""
    root = tmp_path / "realy"
    for name in realy.REGIONS:
        write_mesh(root / f"REALY_scan_region/1/{name}.obj", *region_mesh(name))
    write_mesh(root / "REALY_HIFI3D_keypoints/1.obj", KEYPOINTS, [[0, 1, 2]])
    (root / "metrical_scale.txt").write_text("50\n")
    for name in ("1.png", "1_left.png"):
        cv2.imwrite(str(root / name), np.zeros((64, 64, 3), np.uint8))
    return root


def test_a_folder_of_predictions(data_set, tmp_path):
    rows = []
    for vertex in (*IDS, *IDS[:17]):
        face = int(np.flatnonzero((vertex == TRIANGLES).any(1))[0])
        corner = int(np.flatnonzero(TRIANGLES[face] == vertex)[0])
        rows.append([face, float(corner == 0), float(corner == 1)])
    (tmp_path / "keypoints.txt").write_text(json.dumps(rows))
    write_mesh(tmp_path / "ours/1.obj", ELSEWHERE.apply(VERTICES), TRIANGLES)
    result = realy.evaluate_realy(
        data_set, predictions=tmp_path / "ours", keypoints=tmp_path / "keypoints.txt"
    )
    assert max(result.tables[0].rows["frontal"]) < 0.05
    shown = result.error_map
    assert shown.triangles.max() + 1 == len(shown.vertices) == len(shown.errors)
    assert list(result.skipped) == ["1_left"] and result.facts["images"] == 1
    with pytest.raises(UserError, match="need keypoints"):
        realy.evaluate_realy(data_set, predictions=tmp_path / "ours")


def test_a_network(data_set, tiny_network, monkeypatch):
    box = SquareBox(32.0, 32.0, 40.0)
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: [box])
    rows = realy.evaluate_realy(data_set, tiny_network).tables[0].rows
    assert set(rows) == {"frontal", "frontal, std", "side", "side, std"}
    assert 0 < rows["frontal"][4] < 10
    assert rows["frontal"][4] == pytest.approx(np.mean(rows["frontal"][:4]))


def test_rejects():
    arguments = (region_mesh("nose"), KEYPOINTS, VERTICES, TRIANGLES)
    with pytest.raises(ValueError, match="region must be one of nose, mouth"):
        realy.region_error("ear", *arguments, KEYPOINTS)
    with pytest.raises(ValueError, match="keypoints must be 68 to 85 points, got 51"):
        realy.region_error("nose", *arguments, KEYPOINTS[:51])
