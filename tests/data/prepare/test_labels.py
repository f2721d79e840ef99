"""Landmarks beside photos, through shards, into batches."""

import json

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data.cropping import warp_points
from pgnface.data.points import JAW
from pgnface.data.prepare import PrepareSettings, prepare
from pgnface.data.shards import ShardSource
from tests.data.faces import (
    SIZE,
    encoded,
    head_points,
    picture,
    write_annotation,
    write_faces,
    write_pts,
    write_shard,
)

from .inputs import read_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A face with 3D points, one of 300-W, and a photo without labels."""
    root = tmp_path_factory.mktemp("labelled")
    paths = write_faces(root / "in", 2, annotated=False)
    write_annotation(paths[0].with_suffix(".mat"))
    write_pts(paths[1].with_suffix(".pts"))
    settings = PrepareSettings(detector="labels", min_side=10)
    prepare([root / "in"], root / "out", settings)
    return root / "out"


def test_landmarks_of_shards_are_labels(shards):
    source = ShardSource(shards, SIZE, frames=2, seed=3)
    crops = {a["source"]: a for _, _, a in read_shards(shards)}
    expected = {}
    for name, about in crops.items():
        # In pixels of the crop that is stored.
        scale = about["crop_box"][2] / about["box"][2]
        shift = np.array(about["crop_box"][:2]) - scale * np.array(about["box"][:2])
        points = head_points() * scale
        points[:, :2] += shift
        expected[len(about["landmarks"][0])] = torch.tensor(points).float()
        assert about["jaw_on_contour"] == (name == "face001.jpg")
    mirrored = 0
    for step in range(4):
        batch = source.batch(step, 4)
        assert batch.annotated.all()
        for i in range(2):
            weights = batch.landmark_weights[i]
            deep = bool(weights[..., 2].any())
            assert deep or not weights[:, list(JAW)].any()
            assert (weights[:, 17:, :2] == 1).all() and (weights[..., 2] == float(deep)).all()
            found = warp_points(batch.warp[i], batch.landmarks[i])
            known = weights[0, :, 0] > 0
            truth = expected[3 if deep else 2]
            straight = (found[0, known, :2] - truth[known, :2]).abs().max()
            mirrored += bool(straight > 1)
            if straight <= 1:
                torch.testing.assert_close(found[1, known, :2], truth[known, :2], atol=0.01, rtol=0)
                if deep:
                    torch.testing.assert_close(found[1], truth, atol=0.01, rtol=0)
    assert 0 < mirrored < 8


def test_mirrored_landmarks_change_sides(shards):
    source = ShardSource(shards, SIZE, frames=1, seed=3)
    # The nose tip lies to one side of the face's middle, in the mirror to the other.
    sides = set()
    for step in range(8):
        batch = source.batch(step, 2)
        for points in batch.landmarks[:, 0]:
            eyes = (points[36] + points[45]) / 2
            assert points[45, 0] > points[36, 0]  # as named, whichever way round the photo is
            sides.add(bool(points[30, 0] > eyes[0]))
    assert sides == {False, True}


@pytest.mark.parametrize(
    "landmarks", [[[1, 2]] * 67, [[1, 2, 3, 4]] * 68, [[1, None]] * 68, [[1, 2], [3]], "many"]
)
def test_broken_landmarks_are_reported(tmp_path, landmarks):
    image = encoded(picture())
    about = json.dumps({"landmarks": landmarks}).encode()
    write_shard(tmp_path / "a.tar", {"0.jpg": image, "0.json": about, "1.jpg": image})
    source = ShardSource(tmp_path / "a.tar", SIZE, frames=1)
    batch = source.batch(0, 4)
    assert set(batch.names) == {"a.tar/1"} and not batch.annotated.any()
    assert "68" in source.skipped["a.tar/0"]
    assert not batch.landmark_weights.any()


def test_shards_without_any_usable_image(tmp_path):
    about = json.dumps({"landmarks": [[1, 2]]}).encode()
    write_shard(tmp_path / "a.tar", {"0.jpg": encoded(picture()), "0.json": about})
    with pytest.raises(UserError, match="none of 1 images can be used"):
        ShardSource(tmp_path / "a.tar", SIZE, frames=1).batch(0, 1)
