import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from pgnface._errors import UserError
from pgnface.commands.evaluate import Now
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.metrics import point_to_surface
from pgnface.evaluation.protocols import now

from .faces import ELSEWHERE, face_mesh, write_mesh

VERTICES, TRIANGLES, IDS = face_mesh()
SEVEN = VERTICES[IDS[list(now.LANDMARKS)]]


def test_the_ball_by_hand():
    landmarks = np.zeros((7, 3))
    landmarks[0, 0], landmarks[3, 0] = -45, 45  # 90 mm between the outer corners
    landmarks[[0, 1, 2, 3], 1] = 50  # the nose's bottom is the origin
    landmarks[1, 0], landmarks[2, 0] = -15, 15
    centre, radius = now.face_ball(landmarks)
    assert np.allclose(centre, [0, 15, 0]) and radius == pytest.approx(1.4 * (90 + 50) / 2)


def test_a_moved_and_scaled_prediction_has_no_error():
    moved = ELSEWHERE.apply(VERTICES)
    result = now.now_distances(VERTICES, SEVEN, moved, TRIANGLES, ELSEWHERE.apply(SEVEN))
    assert result.distances.max() < 1e-6
    assert result.alignment.scale == pytest.approx(100)
    centre, radius = now.face_ball(SEVEN)
    assert np.array_equal(result.kept, np.linalg.norm(VERTICES - centre, axis=1) <= radius)
    assert 0 < result.kept.sum() < len(VERTICES)


def test_a_known_displacement_is_measured():
    """Vertices of the scan lie by turns 0.5 mm before and behind a flat prediction."""
    flat = VERTICES * [1, 1, 0]
    sign = np.where(np.random.default_rng(0).uniform(size=len(flat)) < 0.5, -1, 1)
    scan = flat + 0.5 * sign[:, None] * [0, 0, 1]
    landmarks = flat[IDS[list(now.LANDMARKS)]]
    sheet = np.array([[-900.0, -900, 0], [900, -900, 0], [0, 1500, 0]])
    result = now.now_distances(scan, landmarks, sheet, [[0, 1, 2]], landmarks)
    assert result.distances.mean() == pytest.approx(0.5, rel=0.02)


def test_the_minimum_is_scipys():
    vertices, _, _ = face_mesh([1.5, -1.0, 1.0])
    landmarks = vertices[IDS[list(now.LANDMARKS)]]
    result = now.now_distances(VERTICES, SEVEN, vertices, TRIANGLES, landmarks)
    crop = VERTICES[result.kept]

    def residuals(x):
        placed = x[6] * vertices @ Rotation.from_rotvec(x[:3]).as_matrix().T + x[3:6] * 100
        return point_to_surface(crop, placed, TRIANGLES)

    start = np.array([0, 0, 0, 0, 0, 0, 1.0])
    best = least_squares(residuals, start, diff_step=1e-4, max_nfev=12)
    assert (result.distances**2).sum() <= 2 * best.cost * 1.001
    assert result.distances.mean() == pytest.approx(np.mean(best.fun), rel=0.02)
    assert result.distances.mean() > 0.1


def test_the_metrical_variant_keeps_the_size():
    larger = VERTICES * 1.1 / 1000
    lands = SEVEN * 1.1 / 1000
    free = now.now_distances(VERTICES, SEVEN, larger, TRIANGLES, lands, unit="m")
    assert free.distances.max() < 1e-6
    kept = now.now_distances(VERTICES, SEVEN, larger, TRIANGLES, lands, metrical=True, unit="m")
    assert kept.alignment.scale == 1 and kept.distances.mean() > 1
    true = now.now_distances(
        VERTICES, SEVEN, VERTICES / 10, TRIANGLES, SEVEN / 10, metrical=True, unit="cm"
    )
    assert true.distances.max() < 1e-6


def test_distances_are_pooled():
    summary = now.summarise_distances([np.array([1.0, 2]), np.array([3.0, 4, 10])])
    assert (summary.median, summary.mean, summary.images) == (3, 4, 2)
    assert summary.std == pytest.approx(np.std([1, 2, 3, 4, 10]))
    with pytest.raises(ValueError, match="at least one image"):
        now.summarise_distances([])


def test_dense_scans_are_aligned_by_a_part_first():
    dense, _, _ = face_mesh(divisions=3)
    assert len(dense) > 12000
    moved = ELSEWHERE.apply(VERTICES)
    result = now.now_distances(dense, SEVEN, moved, TRIANGLES, ELSEWHERE.apply(SEVEN))
    assert result.distances.max() < 1e-6


@pytest.fixture
def data_set(tmp_path):
    """One person in two challenges."""
    root = tmp_path / "now"
    lines = [f"P1/{challenge}/{name}.jpg" for challenge, name in NAMES]
    for line in lines:
        image = root / "iphone_pictures" / line
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(image), np.zeros((64, 64, 3), np.uint8))
    (root / "imagepathsvalidation.txt").write_text("\n".join(lines))
    write_mesh(root / "scans/P1/scan.obj", VERTICES, TRIANGLES)
    points = "".join(f'<point x="{x}" y="{y}" z="{z}" active="1"/>' for x, y, z in SEVEN)
    (root / "scans_lmks_onlypp/P1").mkdir(parents=True)
    (root / "scans_lmks_onlypp/P1/a.pp").write_text(f"<PickedPoints>{points}</PickedPoints>")
    return root


NAMES = (("selfie", "IMG_1"), ("multiview_neutral", "IMG_2"))


def test_a_folder_of_predictions(data_set, tmp_path):
    moved = ELSEWHERE.apply(VERTICES)
    for challenge, name in NAMES:
        write_mesh(tmp_path / f"ours/P1/{challenge}/{name}.obj", moved, TRIANGLES)
    with pytest.raises(UserError, match=r"expected 7 landmarks in IMG_1\.npy or IMG_1\.txt"):
        now.evaluate_now(data_set, predictions=tmp_path / "ours")
    np.savetxt(tmp_path / "ours/P1/selfie/IMG_1.txt", ELSEWHERE.apply(SEVEN))
    result = now.evaluate_now(data_set, predictions=tmp_path / "ours")
    assert result.facts["images"] == 1 and list(result.skipped) == ["P1/multiview_neutral/IMG_2"]
    np.save(tmp_path / "ours/P1/multiview_neutral/IMG_2.npy", ELSEWHERE.apply(SEVEN))
    result = now.evaluate_now(data_set, predictions=tmp_path / "ours")
    rows = result.tables[0].rows
    assert set(rows) == {"all", "selfie", "multiview neutral"} and not result.skipped
    assert max(rows["all"][:3]) < 1e-5 and rows["all"][3] == 2
    metrical = now.evaluate_now(data_set, predictions=tmp_path / "ours", metrical=True, unit="cm")
    assert metrical.tables[0].rows["all"][1] > 5 and metrical.title == "NoW, metrical"


def test_a_network(data_set, tiny_network, monkeypatch):
    boxes = []
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: boxes)
    with pytest.raises(UserError, match="no sample could be measured: no face found"):
        now.evaluate_now(data_set, tiny_network)
    boxes.append(SquareBox(32.0, 32.0, 40.0))
    result = now.evaluate_now(data_set, tiny_network)
    assert 0 <= result.tables[0].rows["all"][0] < 5 and result.facts["images"] == 2


def test_the_published_box_goes_before_the_detector(data_set, tiny_network, monkeypatch):
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: [])
    for challenge, name in NAMES:
        path = data_set / f"detected_face/P1/{challenge}/{name}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, {"left": 15, "top": 12, "right": 45, "bottom": 52.0}, allow_pickle=True)
    assert now.evaluate_now(data_set, tiny_network).facts["images"] == 2
    path.write_bytes(b"damaged")
    result = now.evaluate_now(data_set, tiny_network)
    assert "expected left, top, right and bottom" in result.skipped["P1/multiview_neutral/IMG_2"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"unit": "inch"}, "unit must be one of mm, cm, m"),
        ({"landmarks": SEVEN[:5]}, r"landmarks must have shape \(7, 3\), got \(5, 3\)"),
        ({"scan": VERTICES + 1e4}, "no vertex of the scan lies within"),
    ],
)
def test_rejects(change, message):
    arguments = {
        "scan": VERTICES,
        "scan_landmarks": SEVEN,
        "vertices": VERTICES,
        "triangles": TRIANGLES,
        "landmarks": SEVEN,
    }
    with pytest.raises(ValueError, match=message):
        now.now_distances(**{**arguments, **change})


def test_the_command_writes_files(data_set, tmp_path, capsys):
    write_mesh(tmp_path / "ours/P1/selfie/IMG_1.obj", VERTICES + 0.3, TRIANGLES)
    np.savetxt(tmp_path / "ours/P1/selfie/IMG_1.txt", SEVEN)
    Now(data_set, predictions=tmp_path / "ours", output=tmp_path / "out", json=True).run()
    assert '"protocol": "NoW"' in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"metrics.json", "cumulative_error.png", "error_map.png"}
