import json

import numpy as np
import pytest
import torch
from scipy.io import savemat

from pgnface._errors import UserError
from pgnface.data.aflw2000 import Aflw2000Source, list_samples
from pgnface.data.annotation import AnnotationError, read_annotation
from pgnface.data.augment import CropJitter
from pgnface.data.cropping import upright_angle, warp_points
from pgnface.data.shards import ShardSource
from pgnface.geometry import rotation_distance, rotation_from_angles, solve_head_pose
from pgnface.morphable import load_model
from tests.models import tiny_model

from .faces import SIZE, assert_equal, encoded, picture, write_annotation, write_faces, write_shard


def fitted_rotation(landmarks):
    model = tiny_model()
    return solve_head_pose(model.mean[model.landmarks], torch.as_tensor(landmarks).float()).rotation


def test_annotation_follows_our_conventions(tmp_path):
    angles = (10.0, -40.0, 15.0)
    points = write_annotation(tmp_path / "a.mat", angles)
    annotation = read_annotation(tmp_path / "a.mat")
    np.testing.assert_allclose(annotation.landmarks, points, atol=1e-9)
    np.testing.assert_allclose(annotation.angles, angles)
    np.testing.assert_allclose(annotation.rotation, fitted_rotation(points), atol=1e-5)
    assert annotation.scale == pytest.approx(0.25)
    assert annotation.has_depth and annotation.plausible


def test_points_in_the_plane_have_no_depth(tmp_path):
    flat = np.random.default_rng(0).uniform(1, 60, (2, 68))
    write_annotation(tmp_path / "a.mat", pt3d_68=None, pt2d=flat)
    annotation = read_annotation(tmp_path / "a.mat")
    np.testing.assert_allclose(annotation.landmarks[:, :2], flat.T - 0.5)
    assert not annotation.has_depth and not annotation.landmarks[:, 2].any()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"pt3d_68": None}, "expected pt3d_68 .* got pt3d_68 missing"),
        ({"pt3d_68": np.zeros((3, 21))}, r"got pt3d_68 \(3, 21\)"),
        ({"pt3d_68": np.full((3, 68), np.nan)}, "must be finite"),
        ({"pt3d_68": np.ones((3, 68))}, "all 68 coincide"),
        ({"pt3d_68": np.full((3, 68), "x", dtype=object)}, "expected numbers"),
        ({"Pose_Para": None}, "expected Pose_Para with 7 numbers, got 0"),
        ({"Pose_Para": np.zeros((1, 6))}, "expected Pose_Para with 7 numbers, got 6"),
        ({"Pose_Para": np.full((1, 7), np.inf)}, "must be finite"),
        ({"Pose_Para": "frontal"}, "expected"),
    ],
)
def test_unusable_annotations_say_why(tmp_path, changes, message):
    write_annotation(tmp_path / "a.mat", **changes)
    with pytest.raises(AnnotationError, match=rf"a\.mat: .*{message}"):
        read_annotation(tmp_path / "a.mat")


@pytest.mark.parametrize("kept", [0, 60, 300, 0.7])
def test_truncated_annotation(tmp_path, kept):
    path = tmp_path / "a.mat"
    write_annotation(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else kept])
    with pytest.raises(AnnotationError, match=r"a\.mat"):
        read_annotation(path)


def test_missing_annotation(tmp_path):
    with pytest.raises(AnnotationError, match=r"none\.mat: no such file"):
        read_annotation(tmp_path / "none.mat")


def test_splits_keep_blocks_together(tmp_path):
    write_faces(tmp_path, 25)
    (tmp_path / "alone.jpg").touch()  # without annotation
    every = list_samples(tmp_path)
    train = list_samples(tmp_path, "train", block=2)
    validation = list_samples(tmp_path, "validation", block=2)
    assert [p.stem for p in every] == [f"face{i:03d}" for i in range(25)]
    assert [every.index(p) for p in validation] == [8, 9, 18, 19]
    assert sorted(train + validation) == every
    with pytest.raises(ValueError, match="split must be one of"):
        list_samples(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_samples(tmp_path / "none")


def test_crops_without_augmentation_keep_labels_and_order(tmp_path):
    write_faces(tmp_path, 3)
    source = Aflw2000Source(tmp_path, SIZE, "all", augment=False, identity_count=4)
    batch = source.batch(0, 2)
    assert batch.names == ["face000.jpg", "face001.jpg"]
    assert source.batch(1, 2).names == ["face002.jpg", "face000.jpg"]
    assert batch.image.shape == (2, 1, 3, SIZE, SIZE) and batch.identity.shape == (2, 4)
    assert batch.annotated.all() and (batch.pose_weight == 1).all()
    assert (batch.landmark_weights == 1).all() and not batch.coefficient_weight.any()
    for i, name in enumerate(batch.names):
        truth = read_annotation((tmp_path / name).with_suffix(".mat"))
        in_photo = warp_points(batch.warp[i, 0], batch.landmarks[i, 0])
        torch.testing.assert_close(
            in_photo, torch.tensor(truth.landmarks).float(), atol=1e-3, rtol=0
        )
        torch.testing.assert_close(batch.pose.rotation[i, 0], torch.tensor(truth.rotation).float())


def test_augmented_rotation_follows_the_landmarks(tmp_path):
    write_faces(tmp_path, 4)
    batch = Aflw2000Source(tmp_path, SIZE, "all", seed=3).batch(0, 12)
    fitted = torch.stack([fitted_rotation(points) for points in batch.landmarks[:, 0]])
    assert rotation_distance(fitted, batch.pose.rotation[:, 0]).max() < 0.05
    assert (torch.linalg.det(batch.warp[..., :2]) > 0).all()
    inside = (batch.landmarks[..., :2] > 0) & (batch.landmarks[..., :2] < SIZE)
    assert inside.float().mean() > 0.95


def test_known_faces_are_turned_upright(tmp_path):
    path = write_faces(tmp_path / "photos", 1)[0]
    points = write_annotation(path.with_suffix(".mat"), (0.0, 20.0, -50.0))
    about = json.dumps({"landmarks": points.tolist()}).encode()
    write_shard(tmp_path / "a.tar", {"a.jpg": encoded(picture()), "a.json": about})
    jitter = CropJitter(scale=0, shift=0, angle=0, upright=1, upright_angle=0)
    for source in (
        Aflw2000Source(path.parent, SIZE, "all", jitter=jitter),
        ShardSource(tmp_path / "a.tar", SIZE, frames=1, jitter=jitter),
    ):
        turned = source.batch(0, 4).landmarks[:, 0].numpy()
        assert np.abs([upright_angle(face) for face in turned]).max() < 1e-3


def test_labels_in_the_plane_have_no_weight_for_depth(tmp_path):
    path = write_faces(tmp_path, 1)[0]
    flat = np.random.default_rng(0).uniform(1, 60, (2, 68))
    write_annotation(path.with_suffix(".mat"), pt3d_68=None, pt2d=flat)
    batch = Aflw2000Source(tmp_path, SIZE, "all").batch(0, 2)
    assert (batch.landmark_weights[..., :2] == 1).all()
    assert not batch.landmark_weights[..., 2].any()


def test_an_impossible_angle_leaves_the_landmarks(tmp_path):
    paths = write_faces(tmp_path, 2)
    write_annotation(paths[0].with_suffix(".mat"), (0.0, -120.0, 0.0))
    batch = Aflw2000Source(tmp_path, SIZE, "all", augment=False).batch(0, 2)
    assert batch.pose_weight.flatten().tolist() == [0, 1]
    assert (batch.landmark_weights == 1).all()


def test_unusable_samples_are_counted(tmp_path):
    paths = write_faces(tmp_path, 5)
    write_annotation(paths[0].with_suffix(".mat"), (0.0, -120.0, 0.0))
    write_annotation(paths[1].with_suffix(".mat"), pt3d_68=None)
    paths[2].with_suffix(".mat").write_bytes(b"no mat")
    source = Aflw2000Source(tmp_path, SIZE, "all")
    assert len(source) == 3
    assert set(source.skipped) == {path.name for path in paths[1:3]}
    assert "pt3d_68" in source.skipped[paths[1].name]


@pytest.mark.parametrize("augment", [False, True])
def test_broken_images_are_replaced_and_counted(tmp_path, augment):
    paths = write_faces(tmp_path, 4)
    paths[0].write_bytes(encoded(picture())[:200])
    paths[2].write_bytes(b"")
    source = Aflw2000Source(tmp_path, SIZE, "all", augment=augment)
    batch = source.batch(0, 8)
    assert set(batch.names) == {paths[1].name, paths[3].name}
    assert set(source.skipped) == {paths[0].name, paths[2].name}
    assert "truncated" in source.skipped[paths[0].name]
    assert_equal(batch, Aflw2000Source(tmp_path, SIZE, "all", augment=augment).batch(0, 8))


def test_the_only_readable_image_is_always_found(tmp_path):
    for path in write_faces(tmp_path, 6)[1:]:
        path.write_bytes(b"")
    source = Aflw2000Source(tmp_path, SIZE, "all")
    for step in range(8):
        assert set(source.batch(step, 3).names) == {"face000.jpg"}


def test_nothing_usable(tmp_path):
    with pytest.raises(UserError, match=r"split 'train': no usable sample \(0 skipped\)"):
        Aflw2000Source(tmp_path, SIZE)
    for path in write_faces(tmp_path, 2):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no image of 2 can be read"):
        Aflw2000Source(tmp_path, SIZE).batch(0, 1)


def test_every_image_is_seen_once_an_epoch(tmp_path):
    write_faces(tmp_path, 6)
    source = Aflw2000Source(tmp_path, SIZE, "all")
    names = [name for step in range(6) for name in source.batch(step, 2).names]
    assert len(set(names[:6])) == len(set(names[6:])) == 6
    assert names[:6] != names[6:]


@pytest.mark.kit
def test_real_annotations_agree_with_a_face_model(kit):
    """Rotation and landmarks of real files say the same of the head."""
    model = load_model()
    paths = list_samples(kit / "aflw2000_dev")[::150]
    annotations = [a for p in paths if (a := read_annotation(p.with_suffix(".mat"))).plausible]
    points = torch.tensor(np.array([a.landmarks for a in annotations])).float()
    pose = solve_head_pose(model.mean[model.landmarks].expand(len(points), 68, 3), points)
    rotation = torch.tensor(np.array([a.rotation for a in annotations])).float()
    # Our frontal head differs from the annotation's by a few constant degrees.
    assert rotation_distance(pose.rotation, rotation).max() < 15
    scale = torch.tensor([a.scale for a in annotations]).float()
    assert ((pose.scale / scale).log().abs() < 0.15).all()
    for a in annotations:
        angles = torch.from_numpy(a.angles)
        np.testing.assert_allclose(rotation_from_angles(angles), a.rotation)


@pytest.mark.kit
def test_real_sample_of_300w_lp(kit):
    annotation = read_annotation(kit / "samples" / "300WLP_IBUG_image_008_1_0.mat")
    assert not annotation.has_depth and annotation.plausible
    assert np.ptp(annotation.landmarks[:, 0]) > 100


def test_matlab_files_without_any_entry(tmp_path):
    savemat(tmp_path / "a.mat", {})
    with pytest.raises(AnnotationError, match="missing"):
        read_annotation(tmp_path / "a.mat")
