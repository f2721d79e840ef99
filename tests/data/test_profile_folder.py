import json

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from pgnface._errors import NothingFoundError, UserError
from pgnface.data.aflw2000 import Aflw2000Source
from pgnface.data.annotation import read_annotation
from pgnface.data.images import read_image
from pgnface.data.profile_folder import profile_folder
from pgnface.data.surface_fit import fit_surfaces
from pgnface.data.turn_rule import TurnRule
from pgnface.geometry import angles_from_rotation, rotation_distance
from tests.models import tiny_model

from .faces import SIZE, write_annotation, write_faces
from .test_aflw2000 import fitted_rotation


@pytest.fixture
def photos(tmp_path):
    """Five photos: yaws of 10, -30 and 60 degrees, one damaged, one without face in it."""
    root = tmp_path / "in/AFW"
    (tmp_path / "in").mkdir()
    paths = write_faces(root, 5)
    for path, yaw in zip(paths, (10.0, -30.0, 60.0), strict=False):
        write_annotation(
            path.with_suffix(".mat"),
            (5.0, yaw, -8.0),
            Shape_Para=np.arange(199.0)[:, None],
            Exp_Para=np.arange(29.0)[:, None],
        )
    paths[3].with_suffix(".mat").write_bytes(b"damaged")
    paths[4].write_bytes(b"damaged")
    return tmp_path / "in"


def turn(photos, tmp_path, largest=85.0, smallest=0.0, **options):
    turns = TurnRule((20.0, 35.0), smallest, largest)
    return profile_folder(photos, tmp_path / "out", tiny_model(), turns=turns, **options)


def in_head(annotation):
    """Landmarks in millimetres of the head, by the annotated pose."""
    pose = annotation.pose(60)
    flipped = (annotation.landmarks - pose.translation.numpy()) * [1, -1, -1]
    return flipped @ annotation.rotation / annotation.scale


def test_faces_are_turned_with_their_labels(photos, tmp_path):
    seen = []
    counts = turn(photos, tmp_path, advance=lambda done, total: seen.append((done, total)))
    assert counts == {"photos": 5, "written": 5, "kept": 0, "beyond": 1, "skipped": 2}
    assert seen == [(i, 5) for i in range(1, 6)]
    for i, yaw in ((0, 10.0), (1, -30.0), (2, 60.0)):
        old = read_annotation(photos / f"AFW/face{i:03d}.mat")
        for k, change in ((1, 20.0), (2, 35.0)):
            path = tmp_path / f"out/AFW/face{i:03d}_{k}.mat"
            if abs(yaw) + change > 85:
                assert not path.exists()
                continue
            new = read_annotation(path)
            change = np.sign(yaw) * change
            np.testing.assert_allclose(new.angles, old.angles + np.array([0, change, 0]), atol=1e-4)
            # The rotation of the labels is that of the landmarks.
            assert (
                rotation_distance(
                    fitted_rotation(new.landmarks), torch.tensor(new.rotation).float()
                )
                < 0.1
            )
            np.testing.assert_array_equal(new.shape, np.arange(199))
            assert new.scale == pytest.approx(old.scale)

            # Both poses place the same head: what one says of the landmarks, the other does.
            np.testing.assert_allclose(in_head(new), in_head(old), atol=1e-2)
            image = read_image(path.with_suffix(".jpg"))
            assert image.shape == (60, 60, 3)
    lines = [json.loads(line) for line in (tmp_path / "out/skipped.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == ["AFW/face003.jpg", "AFW/face004.jpg"]
    source = Aflw2000Source(tmp_path / "out", SIZE, "all", augment=False)
    assert source.skipped == {} and source.batch(0, 2).image.shape[-1] == SIZE


def test_the_same_call_continues(photos, tmp_path):
    first = turn(photos, tmp_path)
    (tmp_path / "out/AFW/face000_1.mat").unlink()
    second = turn(photos, tmp_path)
    assert second["written"] == 1 and second["kept"] == first["written"] - 1


def test_the_faces_of_a_split_alone_are_turned(photos, tmp_path):
    """Twenty photos train, so that these five do; none of them validates."""
    assert turn(photos, tmp_path, split="train")["photos"] == 5
    with pytest.raises(NothingFoundError):
        turn(photos, tmp_path / "other", split="validation")


def test_turns_within_limits(photos, tmp_path):
    counts = turn(photos, tmp_path, smallest=46.0, largest=70.0)
    assert counts["written"] == 2 and counts["beyond"] == 4
    written = sorted(path.stem for path in (tmp_path / "out/AFW").glob("*.jpg"))
    assert written == ["face001_1", "face001_2"]  # yaws of -50 and -65 degrees


def test_flat_landmarks_are_turned_at_the_model_s_depth(photos, tmp_path):
    path = photos / "AFW/face001.mat"
    content = loadmat(path)
    deep = read_annotation(path).landmarks
    savemat(path, {"pt2d": content["pt3d_68"][:2], "Pose_Para": content["Pose_Para"]})
    annotation = read_annotation(path)
    fitted = fit_surfaces(tiny_model(), torch.tensor(deep[None, :, :2]))
    own = fitted.vertices[0, tiny_model().landmarks]
    np.testing.assert_allclose(own[:, :2], annotation.landmarks[:, :2], atol=0.5)
    relative = fitted.landmarks[0, :, 2].numpy() - deep[:, 2]
    assert np.abs(relative - relative.mean()).max() < 0.5
    turn(photos, tmp_path)
    new = read_annotation(tmp_path / "out/AFW/face001_1.mat")
    assert not new.has_depth and new.angles[1] == pytest.approx(-50)
    seen = angles_from_rotation(torch.tensor(new.rotation))
    np.testing.assert_allclose(seen, new.angles, atol=1e-4)


def test_the_surface_fits_its_landmarks(photos):
    known = torch.tensor(read_annotation(photos / "AFW/face000.mat").landmarks)[None]
    fitted = fit_surfaces(tiny_model(), known)
    own = fitted.vertices[:, tiny_model().landmarks]
    torch.testing.assert_close(own, known, atol=0.3, rtol=0)
    torch.testing.assert_close(fitted.landmarks, known)


def test_what_cannot_be_turned(photos, tmp_path):
    with pytest.raises(UserError, match="yaws must be positive"):
        profile_folder(photos, tmp_path / "out", tiny_model(), turns=TurnRule((-5.0,)))
    with pytest.raises(UserError, match="largest must lie between"):
        turn(photos, tmp_path, largest=95.0)
    with pytest.raises(UserError, match="smallest must lie between 0 and largest"):
        turn(photos, tmp_path, smallest=86.0)
    with pytest.raises(UserError, match=r"lies in .*: the next call would turn"):
        profile_folder(photos, photos / "out", tiny_model())
    with pytest.raises(FileNotFoundError, match="no such folder"):
        turn(tmp_path / "none", tmp_path)
    with pytest.raises(NothingFoundError, match="no face could be turned"):
        turn(photos, tmp_path, largest=5.0)
