"""300W-LP, folders of landmarks and AFLW in their published layouts, as training sources."""

import sqlite3

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data.aflw import IBUG, POINT_NAMES, AflwSource, read_aflw
from pgnface.data.cropping import warp_points
from pgnface.data.landmark_folder import LandmarkFolderSource
from pgnface.data.points import JAW
from pgnface.data.w300lp import W300LpSource, list_300wlp, photo_of

from .faces import (
    SIZE,
    encoded,
    head_points,
    picture,
    write_aflw,
    write_annotation,
    write_faces,
    write_pts,
)
from .test_points import t7


def in_photo(batch, i):
    return warp_points(batch.warp[i, 0], batch.landmarks[i, 0])


@pytest.fixture
def w300lp(tmp_path):
    """Two subsets with mirror images, 25 photos in one, each turned once; flat landmarks."""
    for folder in ("AFW", "AFW_Flip", "IBUG", "IBUG_Flip", "landmarks/AFW", "Code"):
        (tmp_path / folder).mkdir(parents=True)
    for subset, count in (("AFW", 25), ("IBUG", 1)):
        for flip in ("", "_Flip"):
            for i in range(count):
                for k in (0, 1):
                    path = tmp_path / f"{subset}{flip}" / f"{subset}_{1000 + i}_1_{k}.jpg"
                    path.write_bytes(encoded(picture(i)))
                    flat = (head_points((0.0, 20.0 * k, 0.0))[:, :2] + 0.5).T
                    write_annotation(path.with_suffix(".mat"), pt3d_68=None, pt2d=flat)
    # The depth of landmarks lies in files of their own, without photos.
    write_annotation(tmp_path / "landmarks/AFW/AFW_1000_1_0_pts.mat")
    return tmp_path


def test_pictures_of_one_photo_are_in_one_split(w300lp):
    every = list_300wlp(w300lp, mirrored=True)
    assert len(every) == 4 * 26 and len(list_300wlp(w300lp)) == 2 * 26
    assert len(list_300wlp(w300lp, turned=False)) == 26
    assert [p.name for p in list_300wlp(w300lp, subsets=("IBUG",), turned=False)] == [
        "IBUG_1000_1_0.jpg"
    ]
    train, validation = (list_300wlp(w300lp, s, mirrored=True) for s in ("train", "validation"))
    assert sorted(train + validation) == sorted(every) and len(validation) == 0
    assert len({photo_of(path) for path in every}) == 26


def test_blocks_of_photos_validate(tmp_path):
    (tmp_path / "LFPW").mkdir()
    for i in range(101):
        for k in range(2):
            for suffix in (".jpg", ".mat"):
                (tmp_path / f"LFPW/LFPW_image_test_{i:04d}_{k}{suffix}").touch()
    validation = list_300wlp(tmp_path, "validation")
    assert [path.stem[-6:-2] for path in validation] == [
        f"{i:04d}" for i in range(80, 100) for _ in range(2)
    ]
    train = list_300wlp(tmp_path, "train")
    assert len(train) == 162 and not {photo_of(p) for p in train} & {
        photo_of(p) for p in validation
    }


def test_300wlp_knows_landmarks_in_the_plane_and_rotations(w300lp):
    (w300lp / "AFW/AFW_1003_1_1.mat").write_bytes(b"damaged")
    source = W300LpSource(w300lp, SIZE, "all", ("AFW",), augment=False)
    assert len(source) == 49 and list(source.skipped) == ["AFW_1003_1_1.jpg"]
    batch = source.batch(0, 2)
    assert batch.names == ["AFW_1000_1_0.jpg", "AFW_1000_1_1.jpg"]
    assert (batch.landmark_weights[..., :2] == 1).all() and not batch.landmark_weights[..., 2].any()
    assert (batch.pose_weight == 1).all()
    for i, yaw in enumerate((0.0, 20.0)):
        expected = torch.tensor(head_points((0.0, yaw, 0.0))[:, :2]).float()
        torch.testing.assert_close(in_photo(batch, i)[:, :2], expected, atol=1e-3, rtol=0)


def test_folders_that_are_not_300wlp(tmp_path, w300lp):
    with pytest.raises(UserError, match="subsets must be of AFW, HELEN, IBUG, LFPW, got XY"):
        list_300wlp(w300lp, subsets=("XY",))
    with pytest.raises(FileNotFoundError, match="expected folders HELEN, LFPW"):
        list_300wlp(w300lp, subsets=("HELEN", "LFPW"))
    with pytest.raises(ValueError, match="split must be one of"):
        list_300wlp(w300lp, "test")


@pytest.mark.kit
def test_a_published_sample_of_300wlp(kit, tmp_path):
    folder = tmp_path / "IBUG"
    folder.mkdir()
    for suffix in (".jpg", ".mat"):
        name = f"IBUG_image_008_1_0{suffix}"
        (folder / name).symlink_to(kit / f"samples/300WLP_{name}")
    source = W300LpSource(tmp_path, 64, "all", augment=False)
    batch = source.batch(0, 1)
    points = batch.landmarks[0, 0, :, :2]
    assert source.skipped == {} and points.min() > 0 and points.max() < 64


@pytest.fixture
def landmarks(tmp_path):
    """A photo of 300-W, one of LS3D-W in 2D and one in 3D, a damaged one, one without points."""
    paths = write_faces(tmp_path, 5, annotated=False)
    write_pts(paths[0].with_suffix(".pts"))
    points = head_points()
    shift = np.array([0.5, 0.5, 0.0])
    paths[1].with_suffix(".t7").write_bytes(t7((points - shift)[:, :2]))
    paths[2].with_suffix(".t7").write_bytes(t7(points - shift, "Float"))
    paths[3].with_suffix(".pts").write_text("version: 1\nn_points: 68\n{\n")
    return tmp_path


def test_landmarks_beside_photos(landmarks):
    source = LandmarkFolderSource(landmarks, SIZE, "all", augment=False)
    assert len(source) == 3 and list(source.skipped) == ["face003.jpg"]
    batch = source.batch(0, 3)
    expected = torch.tensor(head_points()).float()
    for i in range(3):
        found = in_photo(batch, i)[:, :2]
        known = batch.landmark_weights[i, 0, :, 0] > 0
        torch.testing.assert_close(found[known], expected[known, :2], atol=1e-3, rtol=0)
    torch.testing.assert_close(in_photo(batch, 2), expected, atol=1e-3, rtol=0)
    weights = batch.landmark_weights[:, 0]
    assert not weights[0, list(JAW)].any() and (weights[0, 17:, :2] == 1).all()
    assert (weights[1, :, :2] == 1).all() and not weights[:2, :, 2].any()
    assert (weights[2] == 1).all() and not batch.pose_weight.any() and batch.annotated.all()
    # All are cropped alike, the jaw's points used or not.
    torch.testing.assert_close(batch.warp[0], batch.warp[1], atol=1e-3, rtol=0)


def test_what_is_known_of_a_jaw_can_be_said(landmarks):
    used = LandmarkFolderSource(landmarks, SIZE, "all", "3d", augment=False).batch(0, 3)
    assert (used.landmark_weights[..., :2] == 1).all()
    unused = LandmarkFolderSource(landmarks, SIZE, "all", "2d", augment=False).batch(0, 3)
    assert not unused.landmark_weights[:, :, list(JAW)].any()


def test_mirrored_photos_keep_which_points_are_known(tmp_path):
    write_aflw(tmp_path, 3)
    source = AflwSource(tmp_path, SIZE, "all", seed=1)
    plain = AflwSource(tmp_path, SIZE, "all", augment=False).batch(0, 3)
    counts = {n: int(w.sum()) for n, w in zip(plain.names, plain.landmark_weights, strict=True)}
    batch = source.batch(0, 24)
    assert not batch.landmarks[batch.landmark_weights == 0].any()
    for name, weights in zip(batch.names, batch.landmark_weights, strict=True):
        assert int(weights.sum()) == counts[name]


def test_faces_of_aflw(tmp_path):
    points = write_aflw(tmp_path, 3)
    faces = read_aflw(tmp_path)
    assert [face.face_id for face in faces] == [39341, 39342, 39343]
    assert len(POINT_NAMES) == 21
    face = faces[2]
    assert face.image == tmp_path / "data/flickr/0/image00002.jpg"
    assert list(face.visible) == [False] * 2 + [True] * 19
    np.testing.assert_allclose(face.points[2:], points[2:])
    assert not face.points[:2].any()
    assert face.box[:3] == (30, 30, 40)
    np.testing.assert_allclose(face.angles, np.rad2deg([-0.2, 0.5, 0.1]))


def test_points_of_aflw_among_the_68(tmp_path):
    points = write_aflw(tmp_path, 2)
    batch = AflwSource(tmp_path, SIZE, "all", augment=False).batch(0, 2)
    weights = batch.landmark_weights[1, 0]
    # The first brow corner of the second face is hidden; eye centres and ears have no counterpart.
    assert set(torch.nonzero(weights[:, 0])[:, 0].tolist()) == set(IBUG.values()) - {17}
    assert not weights[:, 2].any() and not batch.pose_weight.any()
    expected = torch.tensor(points[list(IBUG)]).float()
    found = in_photo(batch, 0)[list(IBUG.values()), :2]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_faces_of_aflw_that_cannot_be_used(tmp_path):
    write_aflw(tmp_path, 4)
    (tmp_path / "data/flickr/0/image00001.jpg").unlink()
    base = sqlite3.connect(tmp_path / "data/aflw.sqlite")
    base.execute("DELETE FROM FeatureCoords WHERE face_id = 39343")
    base.execute("DELETE FROM FaceRect WHERE face_id = 39344")
    base.commit()
    base.close()
    with pytest.raises(UserError, match=r"image00001\.jpg: no such file"):
        read_aflw(tmp_path)
    source = AflwSource(tmp_path, SIZE, "all")
    assert len(source) == 1
    assert {name: why.split(": ")[-1] for name, why in source.skipped.items()} == {
        "face 39342": "no such file",
        "face 39343": "no landmark is visible",
        "face 39344": "has no rectangle",
    }


def test_a_data_base_that_is_not_aflw(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected data/aflw\.sqlite"):
        read_aflw(tmp_path)
    (tmp_path / "aflw.sqlite").write_bytes(b"not a data base, but long enough to look at" * 30)
    with pytest.raises(UserError, match="is not the data base of AFLW"):
        read_aflw(tmp_path)
    (tmp_path / "aflw.sqlite").write_bytes(b"")
    with pytest.raises(UserError, match="no such table"):
        read_aflw(tmp_path)
