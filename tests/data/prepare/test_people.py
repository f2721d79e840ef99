"""Folders of frames for each person and videos: tracks, identities, and training on them."""

import json
import shutil

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data import ShardsConfig, build_source, shards
from pgnface.data.cropping import SquareBox
from pgnface.data.prepare import PrepareSettings, prepare
from pgnface.data.prepare.frames import FaceTrack
from pgnface.data.prepare.inputs import Unit, chunk_units, list_units, natural
from pgnface.data.shards import ShardSource
from tests.data.faces import SIZE, assert_equal, encoded, picture, write_shard
from tests.models import tiny_model

from .inputs import photo, read_shards, skips, write_photo, write_portrait_video

PEOPLE = PrepareSettings(detector="haar", layout="people")


@pytest.fixture(scope="module")
def voxceleb(tmp_path_factory):
    """Two people; one with two clips as frames, one with a clip as video."""
    root = tmp_path_factory.mktemp("voxceleb")
    for clip, seeds in {"00001": range(3), "00002": range(3, 5)}.items():
        for i in seeds:
            write_photo(root / f"id10001/1zcIwhmdeo4/{clip}/{i:07d}.jpg", i)
    write_portrait_video(root / "id10002/21Uxsk56VDQ/00001.avi", 11)
    return root


@pytest.fixture(scope="module")
def prepared(voxceleb, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared")
    prepare([voxceleb], output, PEOPLE)
    return output


def test_folders_are_people_and_clips_are_tracks(prepared):
    # The light changes so much from frame to frame that each might be another scene.
    found = [(a["identity"], a["track"], a["source"]) for _, _, a in read_shards(prepared)]
    first, second = "id10001/1zcIwhmdeo4/00001", "id10001/1zcIwhmdeo4/00002"
    assert found[:3] == [("id10001", first, f"{first}/{i:07d}.jpg") for i in range(3)]
    assert found[3:5] == [("id10001", second, f"{second}/{i:07d}.jpg") for i in (3, 4)]
    clip = "id10002/21Uxsk56VDQ/00001.avi"
    assert found[5:] == [("id10002", clip, clip)] * 3
    counts = json.loads((prepared / "manifest.json").read_text())["counts"]
    assert counts["identities"] == 2 and counts["tracks"] == 3


def test_frames_of_a_track_are_frames_of_a_subject(prepared):
    source = ShardSource(prepared, SIZE, frames=2, group="track", identity_count=4)
    assert len(source) == 3 and source.skipped == {}
    batch = source.batch(0, 6)
    assert batch.image.shape == (3, 2, 3, SIZE, SIZE) and not batch.same_image.any()
    assert not torch.equal(batch.image[:, 0], batch.image[:, 1])
    assert len(set(batch.names)) == 3


def test_photos_of_a_person_are_frames_of_a_subject(prepared):
    config = ShardsConfig(str(prepared), group="identity", frames=4)
    source = build_source(config, tiny_model(), SIZE)
    assert len(source) == 1 and source.batch(0, 4).names == ["id10001"]
    assert source.skipped == {"id10002": "3 images, expected at least 4"}
    with pytest.raises(UserError, match="no identity of 9 images in the shards"):
        ShardSource(prepared, SIZE, frames=9, group="identity")


@pytest.mark.parametrize("group", ["image", "track", "identity"])
def test_prepared_shards_are_not_read_to_be_counted(prepared, tmp_path, monkeypatch, group):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in prepared.glob("*.tar"):
        (copy / path.name).write_bytes(path.read_bytes())
    expected = ShardSource(copy, SIZE, frames=3, group=group)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "read_shard", None)
        source = ShardSource(prepared, SIZE, frames=3, group=group)
    assert len(source) == len(expected) and source.skipped == expected.skipped
    assert_equal(source.batch(2, 6), expected.batch(2, 6))


def test_a_prepared_shard_that_was_changed_is_noticed(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    shard = copy / "faces-000000.tar"
    data = shard.read_bytes()
    # Of another size it is read; of the same size it is found out when it is used.
    shard.write_bytes(data[: len(data) // 2])
    assert len(ShardSource(copy, SIZE, frames=1)) < 8
    shard.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(
        UserError, match=r"faces-000000\.tar: expected 8 subjects, got [1-7]: it has"
    ):
        ShardSource(copy, SIZE, frames=1).batch(0, 8)


def test_the_box_of_the_json_is_cut_out(prepared, monkeypatch):
    boxes = []
    monkeypatch.setattr(
        "pgnface.data.unlabeled.random_crops",
        lambda name, images, found, *rest: boxes.extend(zip(images, found, strict=True)),
    )
    source = ShardSource(prepared, SIZE, frames=1)
    assert source.same_image
    source._crops(0, 0, 1)
    ((image, box),) = boxes
    size = image.shape[0]
    assert list(box[:3]) == pytest.approx([size / 2, size / 2, size / 1.25])


def test_shards_without_people_cannot_be_grouped(tmp_path):
    members = {f"{i}.jpg": encoded(picture(i)) for i in range(3)}
    members |= {"0.json": b"{", "1.json": b'{"identity": "x"}'}
    write_shard(tmp_path / "a.tar", dict(sorted(members.items())))
    with pytest.raises(UserError, match="no identity of 2 images in the shards"):
        ShardSource(tmp_path / "a.tar", SIZE, group="identity")
    source = ShardSource(tmp_path / "a.tar", SIZE, frames=1, group="identity")
    assert len(source) == 1
    assert source.skipped["a.tar/2"] == "its .json names no identity"
    assert "damaged" in source.skipped["a.tar/0"] or "no identity" in source.skipped["a.tar/0"]
    with pytest.raises(UserError, match="group must be one of image, track, identity"):
        ShardSource(tmp_path / "a.tar", SIZE, group="person")


def test_a_broken_box_is_reported(tmp_path):
    image = encoded(picture())
    write_shard(
        tmp_path / "a.tar",
        {
            **{"0.jpg": image, "0.json": b'{"crop_box": [1, 2]}'},
            **{"1.jpg": image, "1.json": b'{"crop_box": [1, 2, -3]}'},
            **{"2.jpg": image, "2.json": b"[]"},
        },
    )
    source = ShardSource(tmp_path / "a.tar", SIZE, frames=1)
    assert {name for step in range(4) for name in source.batch(step, 3).names} == {"a.tar/2"}
    assert set(source.skipped) == {"a.tar/0", "a.tar/1"}


def test_youtube_faces_say_whose_face_it_is(tmp_path):
    """Two faces in every frame; the list points at the smaller one, left of the other."""
    root = tmp_path / "frame_images_DB"
    lines = []
    for frame in (555, 1000, 56):
        small = np.full((256, 160, 3), 90, np.uint8)
        small[64:192] = photo(frame)[::2, ::2]
        write_photo(
            root / f"Aaron_Eckhart/0/0.{frame}.jpg", image=np.concatenate((small, photo(1)), 1)
        )
        name = f"Aaron_Eckhart\\0\\0.{frame}.jpg"
        lines.append(f"{name},0,{158 / 2},{64 + 120 / 2},70,60,0,0")
    (root / "Aaron_Eckhart.labeled_faces.txt").write_text("\n".join(lines) + "\nAaron_Eck")
    prepare([root], tmp_path / "out", PEOPLE)
    samples = read_shards(tmp_path / "out")
    assert [a["source"] for _, _, a in samples] == [
        f"Aaron_Eckhart/0/0.{frame}.jpg" for frame in (56, 555, 1000)
    ]
    assert all(a["box"][0] < 120 and a["identity"] == "Aaron_Eckhart" for _, _, a in samples)
    (root / "Aaron_Eckhart.labeled_faces.txt").unlink()
    prepare([root], tmp_path / "unlisted", PEOPLE)
    assert all(a["box"][0] > 200 for _, _, a in read_shards(tmp_path / "unlisted"))


def test_tracks_are_thinned_evenly(tmp_path):
    video = write_portrait_video(tmp_path / "v.avi", 21, shift=1)
    settings = PrepareSettings(detector="haar", every=2, max_frames=3)
    prepare([video], tmp_path / "out", settings)
    samples = read_shards(tmp_path / "out")
    assert [a["frame"] for _, _, a in samples] == [0, 10, 20]
    assert {(a["identity"], a["track"]) for _, _, a in samples} == {("v.avi#0", "v.avi#0")}
    assert skips(tmp_path / "out") == [("v.avi#0", None, "long track")]


def test_a_cut_begins_another_person():
    dark, bright = np.zeros((60, 60, 3), np.uint8), np.full((60, 60, 3), 200, np.uint8)
    left, right = SquareBox(15, 30, 20), SquareBox(45, 30, 20)
    track = FaceTrack()
    assert track.follow(dark, [left, right]) == left and track.number == 0
    assert track.follow(dark, [right, left._replace(x=16)]) == left._replace(x=16)
    assert track.follow(dark, [right]) is None
    assert track.follow(bright, [right, left]) == right and track.number == 1
    for _ in range(FaceTrack.PATIENCE + 1):
        assert track.follow(bright, [left]) is None
    assert track.follow(bright, [left]) == left and track.number == 2


@pytest.mark.kit
def test_a_video_that_ends_early_is_used_and_reported(kit, tmp_path):
    settings = PrepareSettings(detector="haar", every=10, min_side=20)
    prepare([kit / "samples/talking_head.mp4"], tmp_path, settings)
    assert [a["frame"] for _, _, a in read_shards(tmp_path)] == [0, 10, 20, 30, 40, 50]
    assert ("talking_head.mp4", None, "video ends early") in skips(tmp_path)


def test_units_are_listed_in_one_order(voxceleb, tmp_path):
    units = list_units([voxceleb], "people")
    assert [(unit.kind, unit.identity) for unit in units] == [
        *[("frames", "id10001"), ("frames", "id10001"), ("video", "id10002")]
    ]
    assert len(list_units([voxceleb], "photos")) == 6
    write_photo(tmp_path / "a/1/x.jpg")
    write_photo(tmp_path / "b/1/x.jpg")
    both = list_units([tmp_path / "a", tmp_path / "b"], "people")
    assert [(unit.name, unit.identity) for unit in both] == [("a/1", "a/1"), ("b/1", "b/1")]
    assert sorted(["10.jpg", "9.jpg", "a", "1a"], key=natural) == ["1a", "9.jpg", "10.jpg", "a"]


def test_chunks_keep_units_whole():
    units = [Unit("photo", str(i), ()) for i in range(5)] + [Unit("video", "v", ())]
    chunks = chunk_units(units, size=2, max_frames=7)
    assert [[unit.name for unit in chunk] for chunk in chunks] == [
        *[["0", "1"], ["2", "3"], ["4"], ["v"]]
    ]
