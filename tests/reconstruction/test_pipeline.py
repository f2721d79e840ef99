import json

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

import pgnface
from pgnface import cli
from pgnface._errors import NothingFoundError, UserError
from pgnface.reconstruction import pipeline
from pgnface.reconstruction.pipeline import (
    find_faces,
    find_person,
    reconstruct,
    reconstruct_files,
    reconstruct_person,
)

BOX = (30, 20, 90, 80)


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def blank(tmp_path):
    Image.new("RGB", (100, 80), "white").save(tmp_path / "blank.png")
    return tmp_path / "blank.png"


def test_one_line(photo, tiny_network):
    faces = pgnface.reconstruct(photo, checkpoint=tiny_network, box=BOX)
    assert len(faces) == 1 and faces[0].vertices.shape == (221, 3)
    same = reconstruct(np.asarray(Image.open(photo)), checkpoint=tiny_network, box=BOX)
    assert (same[0].vertices == faces[0].vertices).all()
    assert len(reconstruct(photo, checkpoint=tiny_network, detector="none")) == 1


def test_two_detections_of_one_face_are_one(photo, tiny_network):
    image = np.asarray(Image.open(photo))
    box = pipeline.square_box(BOX)
    near = box._replace(x=box.x + 2)
    far = box._replace(x=box.x + 100)
    assert len(find_faces(tiny_network, image, lambda _: [box, near, far])) == 2
    assert find_faces(tiny_network, image, lambda _: []) == []


def test_files(photo, tiny_network, tmp_path, capsys):
    out = tmp_path / "out"
    summary = reconstruct_files([photo], out, checkpoint=tiny_network, box=BOX)
    assert (summary.faces, summary.pictures, summary.empty) == (1, 1, 0)
    assert {path.name for path in out.iterdir()} == {
        "photo_overlay.png",
        *(f"photo_face0.{suffix}" for suffix in ("glb", "obj", "ply", "json")),
    }
    facts = json.loads((out / "photo_face0.json").read_text())
    assert facts["model"] == "tiny" and len(facts["landmarks_3d"]) == 68
    assert facts["photo"] == str(photo)
    mesh = trimesh.load(out / "photo_face0.glb", force="mesh", process=False)
    assert np.ptp(mesh.vertices, 0).max() < 0.5  # metres
    assert "photo.png: 1 face" in capsys.readouterr().out


def test_formats_and_photos_of_one_name(photo, tiny_network, tmp_path):
    other = tmp_path / "folder" / photo.name
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    reconstruct_files([photo, other], out, checkpoint=tiny_network, box=BOX, formats=["ply"])
    names = {path.name for path in out.glob("*.ply")}
    assert names == {"photo_face0.ply", "photo_2_face0.ply"}


def test_a_broken_photo_does_not_stop_the_others(photo, tiny_network, tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    Image.open(photo).save(broken)
    broken.write_bytes(broken.read_bytes()[:-300])
    missing = tmp_path / "missing.jpg"
    summary = reconstruct_files(
        [broken, missing, photo], tmp_path / "out", checkpoint=tiny_network, box=BOX
    )
    assert summary.faces == 1 and set(summary.failed) == {str(broken), str(missing)}
    assert "truncated" in capsys.readouterr().err
    with pytest.raises(UserError, match="none of 2 files could be read"):
        reconstruct_files([broken, missing], tmp_path / "out", checkpoint=tiny_network, box=BOX)


def test_a_photo_without_a_face(photo, blank, tiny_network, tmp_path, monkeypatch, capsys):
    with pytest.raises(NothingFoundError, match="no face in 1 picture"):
        reconstruct_files([blank], tmp_path / "out", checkpoint=tiny_network, detector="haar")
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.setattr(pipeline, "resolve_network", lambda _: tiny_network)
    with pytest.raises(SystemExit) as exit:
        cli.main(["reconstruct", str(blank), "--detector", "haar", "--output", str(tmp_path)])
    assert exit.value.code == 3


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()


def test_a_video(tiny_network, tmp_path, capsys):
    write_video(tmp_path / "clip.avi", 7)
    out = tmp_path / "out"
    summary = reconstruct_files(
        [tmp_path / "clip.avi"], out, checkpoint=tiny_network, detector="none", every=3
    )
    assert summary.pictures == 3
    assert (out / "clip_frame000006_face0.json").is_file()
    assert "clip.avi frame000003: 1 face" in capsys.readouterr().out
    (tmp_path / "broken.avi").write_bytes(b"no video")
    with pytest.raises(UserError, match="none of 1 files could be read"):
        reconstruct_files([tmp_path / "broken.avi"], out, checkpoint=tiny_network)


@pytest.mark.kit
def test_a_video_that_ends_early(kit, tiny_network, tmp_path, capsys):
    clip = kit / "samples" / "talking_head.mp4"
    summary = reconstruct_files(
        [clip], tmp_path, checkpoint=tiny_network, detector="haar", every=25, formats=["ply"]
    )
    assert summary.pictures == 3 and summary.faces >= 3
    assert "158 frames promised, 55 decoded" in capsys.readouterr().err


@pytest.mark.parametrize("box", [(1, 2, 3), (50, 0, 20, 10)])
def test_bad_boxes(photo, tiny_network, box):
    with pytest.raises(UserError, match="box must be x0 y0 x1 y1"):
        reconstruct(photo, checkpoint=tiny_network, box=box)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_bad_arrays(tiny_network, array):
    with pytest.raises(ValueError, match="photo must be a"):
        reconstruct(array, checkpoint=tiny_network, box=BOX)


def fails_with(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main(["reconstruct", *map(str, arguments)])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_errors_of_the_command_line(photo, tmp_path, capsys):
    corrupted = tmp_path / "weights.safetensors"
    corrupted.write_bytes(b"these are no weights")
    assert "name at least one photo" in fails_with(capsys)
    assert "weights" in fails_with(capsys, photo, "--checkpoint", corrupted, "--output", tmp_path)
    assert "do not exist" in fails_with(capsys, photo, "--checkpoint", "x", "--output", tmp_path)
    # The folder is looked at before any work is done: the checkpoint is not even opened.
    below_a_file = photo / "out"
    error = fails_with(capsys, photo, "--checkpoint", corrupted, "--output", below_a_file)
    assert "cannot write to the folder" in error


def test_the_shipped_weights_sit_on_a_photo():
    data = pytest.importorskip("skimage.data")
    (face,) = pgnface.reconstruct(data.astronaut(), detector="haar")
    # Marked by hand, in pixels of a face 85 wide.
    seen = {"right_eye": (202, 101), "left_eye": (246, 103), "mouth": (222, 146)}
    found = {
        "right_eye": face.landmarks[36:42].mean(0),
        "left_eye": face.landmarks[42:48].mean(0),
        "mouth": face.landmarks[48:60].mean(0),
    }
    for name, (x, y) in seen.items():
        assert abs(found[name][0] - x) < 6 and abs(found[name][1] - y) < 6, (name, found[name])
    assert max(map(abs, face.angles)) < 20


def test_photos_of_one_person(photo, tiny_network, tmp_path, capsys):
    second = tmp_path / "second.png"
    Image.fromarray(255 - np.asarray(Image.open(photo))).save(second)
    alone = [reconstruct(path, checkpoint=tiny_network, box=BOX)[0] for path in (photo, second)]
    faces = reconstruct_person([photo, second], checkpoint=tiny_network, box=BOX)
    want = (alone[0].identity + alone[1].identity) / 2
    for before, face in zip(alone, faces, strict=True):
        np.testing.assert_allclose(face.identity, want, atol=1e-6)
        np.testing.assert_allclose(face.expression, before.expression, atol=1e-6)
    out = tmp_path / "out"
    reconstruct_files(
        [photo, second], out, checkpoint=tiny_network, box=BOX, formats=["ply"], one_person=True
    )
    neutral = trimesh.load(out / "person.ply", process=False).vertices
    np.testing.assert_allclose(neutral, tiny_network.model.vertices(want), atol=1e-3)
    written = [json.loads((out / f"{n}_face0.json").read_text()) for n in ("photo", "second")]
    np.testing.assert_allclose(written[0]["identity"], written[1]["identity"])
    assert "2 face(s) in 2 picture(s)" in capsys.readouterr().out


def test_a_photo_without_the_person(photo, blank, tiny_network):
    network, images = tiny_network, [np.asarray(Image.open(p)) for p in (blank, photo)]
    seen = find_faces(network, images[1], lambda _: [pipeline.square_box(BOX)])[0]
    finder = lambda image: [pipeline.square_box(BOX)] if image is images[1] else []  # noqa: E731
    nobody, face = find_person(network, images, finder)
    assert nobody is None
    np.testing.assert_allclose(face.vertices, seen.vertices, atol=1e-2)
    assert find_person(network, images[:1], finder) == [None]
