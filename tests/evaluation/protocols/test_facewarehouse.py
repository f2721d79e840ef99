import cv2
import numpy as np
import pytest
import trimesh

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.protocols import facewarehouse as fw
from pgnface.evaluation.protocols.now import LANDMARKS

from .faces import ELSEWHERE, face_mesh, write_mesh

VERTICES, TRIANGLES, IDS = face_mesh()
SEVEN = IDS[list(LANDMARKS)]


def test_a_known_displacement_within_the_region_alone():
    """A sheet that is bent beyond the region: what lies there does not count."""
    x, y = np.meshgrid(np.arange(-50.0, 51, 5), np.arange(-50.0, 51, 5))
    sign = np.where(np.arange(x.size) % 2 == 0, 1, -1)
    true = np.stack((x.ravel(), y.ravel(), 1.5 * sign), 1)
    region = np.flatnonzero(np.abs(true[:, 0]) < 40)
    true[np.abs(true[:, 0]) > 40, 2] += 90
    sheet = np.array([[-900.0, -900, 0], [900, -900, 0], [0, 1500, 0]])
    found = fw.region_distances(true, region, sheet, [[0, 1, 2]])
    assert len(found.distances) == len(region)
    assert found.distances.mean() == pytest.approx(1.5, rel=2e-3)


def test_by_trimesh():
    other, _, _ = face_mesh([1.0, -1.0])
    region = np.arange(0, len(VERTICES), 3)
    found = fw.region_distances(VERTICES, region, other, TRIANGLES, scale=False)
    assert found.alignment.scale == 1
    placed = trimesh.Trimesh(found.alignment.apply(other), TRIANGLES, process=False)
    corners = placed.triangles
    for point, distance in list(zip(VERTICES[region], found.distances, strict=True))[::20]:
        closest = trimesh.triangles.closest_point(corners, np.tile(point, (len(corners), 1)))
        assert np.linalg.norm(closest - point, axis=1).min() == pytest.approx(distance, abs=1e-9)


@pytest.fixture
def data_set(tmp_path):
    """Two people with two expressions in units of 10 cm, and the landmarks' vertex numbers."""
    for person in (1, 2):
        for pose in (0, 1):
            stem = tmp_path / f"fw/Tester_{person}/TrainingPose/pose_{pose}"
            write_mesh(stem.with_suffix(".obj"), VERTICES / 100, TRIANGLES)
            cv2.imwrite(str(stem.with_suffix(".png")), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "seven.txt").write_text(",".join(map(str, SEVEN)))
    return tmp_path


def test_a_folder_of_predictions(data_set):
    for pose in (0, 1):
        stem = data_set / f"ours/Tester_2/pose_{pose}"
        write_mesh(stem.with_suffix(".obj"), ELSEWHERE.apply(VERTICES), TRIANGLES)
        np.save(stem.with_suffix(".npy"), ELSEWHERE.apply(VERTICES[SEVEN]))
    (data_set / "region.txt").write_text("\n".join(map(str, range(100))))
    result = fw.evaluate_facewarehouse(
        data_set / "fw",
        data_set / "seven.txt",
        predictions=data_set / "ours",
        region=data_set / "region.txt",
    )
    rows = result.tables[0].rows
    assert rows["all"][0] < 1e-4 and rows["all"][2] == 2 and "subject 2" in rows
    assert result.facts["region_vertices"] == 100
    assert "expected a mesh" in result.skipped["Tester_1/pose_0"]
    assert np.isfinite(result.error_map.errors).sum() == 100


def test_a_network_and_chosen_people(data_set, tiny_network, monkeypatch):
    box = SquareBox(32.0, 32.0, 40.0)
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: [box])
    arguments = (data_set / "fw", data_set / "seven.txt", tiny_network)
    result = fw.evaluate_facewarehouse(*arguments, subjects=[1])
    assert result.facts["meshes"] == 2 and 0 < result.tables[0].rows["all"][0] < 20
    with pytest.raises(UserError, match=r"subjects \[7\] are not there"):
        fw.evaluate_facewarehouse(*arguments, subjects=[1, 7])


def test_rejects(data_set):
    with pytest.raises(ValueError, match="expected numbers from 0 to"):
        fw.region_distances(VERTICES, [len(VERTICES)], VERTICES, TRIANGLES)
    with pytest.raises(ValueError, match="region must be integers"):
        fw.region_distances(VERTICES, [0.5], VERTICES, TRIANGLES)
    (data_set / "seven.txt").write_text("1 2 three")
    with pytest.raises(UserError, match=r"seven\.txt: expected vertex numbers"):
        fw.evaluate_facewarehouse(
            data_set / "fw", data_set / "seven.txt", predictions=data_set / "fw"
        )
    with pytest.raises(UserError, match="mm_per_unit must be positive"):
        fw.evaluate_facewarehouse(data_set / "fw", data_set / "seven.txt", mm_per_unit=0)
