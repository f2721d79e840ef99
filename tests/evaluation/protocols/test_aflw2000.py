import csv
import json

import cv2
import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from pgnface._errors import UserError
from pgnface.data.aflw2000 import list_samples
from pgnface.data.annotation import read_annotation
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.metrics import sparse_nme
from pgnface.evaluation.protocols.aflw2000 import boxes, evaluate_aflw2000, read_dense_basis
from pgnface.evaluation.protocols.aflw2000.boxes import BoxRule
from pgnface.evaluation.protocols.mean_shape import normalise_to_box, place_in_box
from pgnface.geometry import Pose, rotation_from_angles
from pgnface.training.checkpoint import SHIPPED

YAWS = [0.0, 20.0, 45.0, -70.0, -351.0]


@pytest.fixture
def root(tmp_path, tiny_network):
    """Five faces in the data set's format."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i, yaw in enumerate(YAWS):
        pose = Pose(
            torch.tensor(0.4),
            rotation_from_angles(torch.tensor([0.0, yaw, 0.0])),
            torch.tensor([60.0, 60.0, 0.0]),
        )
        points = tiny_network.model.landmark_points(pose=pose).numpy().T + np.array(
            [[0.5], [0.5], [0]]
        )
        parameters = np.array([[0, np.deg2rad(yaw), 0, 60, 60, 0, 0.0004]])
        content = {"pt3d_68": points * [[1], [1], [-1]], "Pose_Para": parameters}
        savemat(folder / f"image{i:05d}.mat", content)
        image = np.random.default_rng(i).integers(0, 255, (120, 120, 3), np.uint8)
        cv2.imwrite(str(folder / f"image{i:05d}.jpg"), image)
    return folder


def test_report_and_files(root, tiny_network, tmp_path):
    report = evaluate_aflw2000(root, tiny_network, batch_size=2, output=tmp_path / "out")
    table = report.nme["2d"]["position_map"]
    assert table.counts == (2, 1, 2)  # -351 degrees counts as beyond the last edge
    assert report.pose["as_predicted"].excluded == 1 and report.facts["images"] == 5
    assert report.nme["3d"]["posed_model"].overall > 0
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert numbers["nme"]["2d"]["mean_shape"]["counts"] == [2, 1, 2]
    for name in ("cumulative_error.png", "faces.png"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
    with open(tmp_path / "out" / "faces.csv", newline="") as file:
        faces = list(csv.DictReader(file))
    assert [face["photo"] for face in faces] == [f"image{i:05d}.jpg" for i in range(5)]
    np.testing.assert_allclose([float(face["yaw"]) for face in faces], YAWS, atol=1e-3)
    mean = np.mean([float(face["posed_model"]) for face in faces])
    assert mean == pytest.approx(report.nme["2d"]["posed_model"].overall, abs=1e-3)
    assert {face["found"] for face in faces} == {"1"}


def test_other_bins_and_other_annotations(root, tiny_network, tmp_path):
    names = np.array([f"image{i:05d}" for i in range(3)])
    path = tmp_path / "extra.npz"
    np.savez(path, names=names, reannotated68=np.random.default_rng(0).uniform(0, 100, (3, 2, 68)))
    report = evaluate_aflw2000(root, tiny_network, bins=(0, 45, 90), annotations=path)
    assert report.nme["2d"]["position_map"].counts == (3, 2)
    assert report.nme["2d_reannotated"]["posed_model"].counts == (3, 0)


def test_what_cannot_be_used_is_counted_and_named(root, tiny_network):
    (root / "image00000.jpg").write_bytes((root / "image00000.jpg").read_bytes()[:500])
    savemat(root / "image00001.mat", {"Pose_Para": np.zeros((1, 7))})
    (root / "image00002.mat").unlink()
    report = evaluate_aflw2000(root, tiny_network)
    assert report.facts["images"] == 2 and report.facts["left_out"] == 3
    assert "truncated" in report.skipped["image00000.jpg"]
    assert "pt3d_68" in report.skipped["image00001.jpg"]
    assert "no .mat" in report.skipped["image00002.jpg"]


def test_no_usable_sample(root, tiny_network, tmp_path):
    for path in root.glob("*.mat"):
        path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"no usable sample in .* 5 left out"):
        evaluate_aflw2000(root, tiny_network)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        evaluate_aflw2000(tmp_path / "missing", tiny_network)


def test_faces_that_the_detector_misses_count(root, tiny_network):
    report = evaluate_aflw2000(root, tiny_network, boxes="detector")
    assert report.facts["images"] == 5 and report.facts["missed"] == 5
    assert report.facts["passes"] == 2 and not report.skipped


def test_the_faces_that_are_found_have_a_table(root, tiny_network, monkeypatch):
    whole = evaluate_aflw2000(root, tiny_network)
    detections = iter([[], *([SquareBox(60, 60, 90)] for _ in YAWS[1:])])
    monkeypatch.setattr(boxes, "build_detector", lambda _: lambda image: next(detections))
    report = evaluate_aflw2000(root, tiny_network, boxes="detector")
    assert report.facts["missed"] == 1 and "2d_found" not in whole.nme
    assert report.nme["2d"]["posed_model"].counts == (2, 1, 2)
    found = report.nme["2d_found"]["posed_model"]
    assert found.counts == (1, 1, 2)
    assert found.means[0] == pytest.approx(float(report.errors["posed_model"][1]))


def test_boxes():
    image, true = np.zeros((60, 80, 3), np.uint8), SquareBox(30, 20, 10)
    assert BoxRule("landmarks")(image, true) == true
    jittered = np.array([BoxRule("jittered", seed)(image, true)[:3] for seed in range(200)])
    assert BoxRule("jittered", 7)(image, true) == SquareBox(*jittered[7])
    changes = (jittered - true[:3]) / 10
    np.testing.assert_allclose(changes.min(0), -0.1, atol=0.005)
    np.testing.assert_allclose(changes.max(0), 0.1, atol=0.005)
    rule = BoxRule("detector")
    assert rule(image, true) == boxes.typical_square(image) and rule.found == [False]


def test_the_typical_square_is_that_of_the_data_set():
    box = boxes.typical_square(np.zeros((450, 450, 3), np.uint8))
    assert 220 < box.x < 235 and 270 < box.y < 280 and 255 < box.side < 275


def test_the_nearest_detection_is_the_face(monkeypatch):
    near, far = SquareBox(33, 20, 12), SquareBox(60, 20, 30)
    monkeypatch.setattr(boxes, "build_detector", lambda _: lambda image: [far, near])
    rule = BoxRule("detector")
    image = np.zeros((60, 80, 3), np.uint8)
    assert rule(image, SquareBox(30, 20, 10)) == near
    assert rule(image, SquareBox(45, 50, 10)) == boxes.typical_square(image)
    assert rule.found == [True, False]


def test_more_passes(root, tiny_network):
    once = evaluate_aflw2000(root, tiny_network, passes=1)
    again = evaluate_aflw2000(root, tiny_network)
    assert (once.facts["passes"], again.facts["passes"]) == (1, 2)
    assert once.nme["2d"]["position_map"].mean != again.nme["2d"]["position_map"].mean


def test_bad_arguments(root, tiny_network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        evaluate_aflw2000(root, tiny_network, output=tmp_path / "file" / "out")
    with pytest.raises(ValueError, match="split must be one of"):
        evaluate_aflw2000(root, tiny_network, split="test")
    with pytest.raises(ValueError, match="boxes must be"):
        evaluate_aflw2000(root, tiny_network, boxes="guessed")
    with pytest.raises(ValueError, match="edges that increase from 0"):
        evaluate_aflw2000(root, tiny_network, bins=(30, 0))
    with pytest.raises(ValueError, match="batch size"):
        evaluate_aflw2000(root, tiny_network, batch_size=0)
    np.savez(tmp_path / "extra.npz", names=np.array(["a"]))
    with pytest.raises(UserError, match=r"must be an \.npz with names"):
        evaluate_aflw2000(root, tiny_network, annotations=tmp_path / "extra.npz")


def test_a_balanced_subset(root, tiny_network):
    report = evaluate_aflw2000(root, tiny_network, balanced=1)
    table = report.nme["2d_balanced"]["posed_model"]
    assert table.counts == (1, 1, 1) and table.mean == pytest.approx(table.overall)
    with pytest.raises(ValueError, match=r"at least 2 samples in each bin, got \[2, 1, 2\]"):
        evaluate_aflw2000(root, tiny_network, balanced=2)


def write_dense_model(folder, model):
    """The tiny model in the form and the units of 3DDFA's files: of its modes the first shape and
    two expressions, and zeros.
    """
    folder.mkdir()
    half = model.mean.numpy().reshape(-1, 1) * 500  # um; the rest is in the mean expression
    shape, expression = np.zeros((len(half), 199)), np.zeros((len(half), 29))
    shape[:, :1] = model.identity_basis[:1].numpy().reshape(1, -1).T * 1e3
    expression[:, :2] = model.expression_basis[:2].numpy().reshape(2, -1).T * 1e3
    arrays = {"u_shp": half, "u_exp": half, "w_shp": shape, "w_exp": expression}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    savemat(folder / "Model_Shape.mat", {"mu_shape": half, "w": shape})
    savemat(folder / "Model_Exp.mat", {"mu_exp": half, "w_exp": expression})
    return folder


def add_coefficients(path, pose=None):
    """Give a .mat file the coefficients 0.5 and 0.2, and perhaps another pose."""
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("_")}
    content["Shape_Para"], content["Exp_Para"] = np.zeros((199, 1)), np.zeros((29, 1))
    content["Shape_Para"][0], content["Exp_Para"][0] = 0.5, 0.2
    content["Pose_Para"] = content["Pose_Para"] if pose is None else np.array([pose])
    savemat(path, content)


def test_dense_truth(root, tiny_network, tmp_path):
    """By the conventions of the files, written out with plain trigonometry."""
    folder = write_dense_model(tmp_path / "bfm", tiny_network.model)
    add_coefficients(root / "image00000.mat", [0, 0.3, 0, 60, 70, 5, 4e-4])
    annotation = read_annotation(root / "image00000.mat")
    model = tiny_network.model
    face = model.vertices(torch.tensor([0.5, 0, 0, 0]), torch.tensor([0.2, 0, 0])).double().numpy()
    x = 0.4 * (np.cos(0.3) * face[:, 0] - np.sin(0.3) * face[:, 2]) + 60
    z = 0.4 * (np.sin(0.3) * face[:, 0] + np.cos(0.3) * face[:, 2]) + 5
    expected = np.stack((x - 0.5, 120.5 - (0.4 * face[:, 1] + 70), -z), 1)
    for source in (folder, folder / "Model_Shape.mat"):
        found = read_dense_basis(source).vertices(annotation, 120)
        assert np.allclose(found, expected, atol=1e-3)


def test_dense_errors(root, tiny_network, tmp_path):
    folder = write_dense_model(tmp_path / "bfm", tiny_network.model)
    report = evaluate_aflw2000(root, tiny_network)
    assert not [kind for kind in report.nme if "dense" in kind]
    for path in sorted(root.glob("*.mat"))[1:]:
        add_coefficients(path)
    report = evaluate_aflw2000(root, tiny_network, dense_model=folder)
    assert report.skipped == {"image00000.jpg": "expected 199 numbers in Shape_Para, got none"}
    kinds = ["2d_dense_mean_z", "3d_dense_mean_z", "2d_dense_min_z", "3d_dense_min_z"]
    assert [kind for kind in report.nme if "dense" in kind] == kinds
    assert all(report.nme[kind]["posed_model"].overall > 0 for kind in kinds)
    np.save(folder / "u_exp.npy", np.zeros(9))
    with pytest.raises(UserError, match="expected means of 3 V numbers"):
        evaluate_aflw2000(root, tiny_network, dense_model=folder)


def test_mean_shape_in_the_true_box():
    target = torch.rand(3, 68, 3) * 100
    assert torch.allclose(
        place_in_box(normalise_to_box(target)[0], target[:1])[..., :2], target[:1, :, :2], atol=1e-3
    )
    assert (
        sparse_nme(place_in_box(normalise_to_box(target)[0], target[:1]), target[:1]).item() < 1e-3
    )


@pytest.mark.kit
def test_perfect_landmarks_of_the_kit(kit):
    """The benchmark's two annotations differ by about 3 % of the box when both are read rightly."""
    from pgnface.evaluation.protocols.aflw2000 import read_reannotations

    extra = read_reannotations(kit / "aflw2000_dev_extra.npz")
    paths = list_samples(kit / "aflw2000_dev")[::10]
    true = [torch.from_numpy(read_annotation(p.with_suffix(".mat")).landmarks) for p in paths]
    other = torch.stack([extra[path.stem] for path in paths]).double()
    assert 2.5 < sparse_nme(other, torch.stack(true)[..., :2]).mean() < 3.5


@pytest.mark.kit
@pytest.mark.parametrize("weights", SHIPPED)
def test_the_shipped_weights_see_photos(kit, weights, tmp_path):
    """They have learned from these photos: a guard of the whole path, not a measure of accuracy."""
    for path in list_samples(kit / "aflw2000_dev")[::30]:
        for file in (path, path.with_suffix(".mat")):
            (tmp_path / file.name).symlink_to(file)
    report = evaluate_aflw2000(tmp_path, weights, boxes="jittered")
    assert report.facts["images"] == 50
    assert report.nme["2d"]["position_map"].overall < 3
    assert report.nme["2d"]["posed_model"].overall < 3
