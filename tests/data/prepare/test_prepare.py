"""What comes of a preparation: crops, .json, manifest, and what is left out."""

import json

import numpy as np
import pytest

from pgnface._errors import NothingFoundError, UserError
from pgnface.data.cropping import SquareBox, crop, square_box
from pgnface.data.images import read_image
from pgnface.data.prepare import PrepareSettings, prepare
from pgnface.data.prepare.faces import sharpness
from pgnface.data.prepare.verify import verify
from tests.data.faces import encoded, picture, write_annotation

from .inputs import photo, portrait, read_shards, skips, write_photo, write_portrait_video

HAAR = PrepareSettings(detector="haar")


@pytest.fixture
def mixed(tmp_path):
    """A face, two faces, none, a truncated photo and a video that ends early."""
    root = tmp_path / "in"
    write_photo(root / "a.jpg", 1)
    write_photo(root / "b/two.png", image=np.concatenate((photo(2), photo(3)), 1))
    write_photo(root / "b/none.jpg", image=picture(0))
    (root / "b/cut.jpg").write_bytes(encoded(photo(4))[:-300])
    write_portrait_video(root / "clip.avi", 6)
    (root / "notes.txt").write_text("no input")
    return root


def test_faces_become_samples(mixed, tmp_path):
    manifest = prepare([mixed], tmp_path / "out", HAAR)
    samples = read_shards(tmp_path / "out")
    sources = [(about["source"], about["frame"]) for _, _, about in samples]
    assert sources == [
        *[("a.jpg", None), ("clip.avi", 0), ("clip.avi", 5)],
        *[("b/two.png", None), ("b/two.png", None)],
    ]
    assert len({key for key, _, _ in samples}) == 5
    assert skips(tmp_path / "out") == [
        ("b/cut.jpg", None, "unreadable"),
        ("b/none.jpg", None, "no face"),
    ]
    assert manifest["counts"] == {
        **{"units": 5, "faces": 5, "images": 4, "identities": 1, "tracks": 1, "landmarks": 0},
        "skipped": {"no face": 1, "unreadable": 1},
    }
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == manifest
    assert verify(tmp_path / "out") == 1


def test_crops_follow_the_rule(mixed, tmp_path):
    settings = PrepareSettings(detector="haar", size=100, margin=1.5)
    prepare([mixed / "a.jpg"], tmp_path / "out", settings)
    ((_, image, about),) = read_shards(tmp_path / "out")
    box = SquareBox(*about["box"])
    assert np.hypot(box.x - 158, box.y - 120) < 60 and 80 < box.side < 170
    assert all(8 * value == round(8 * value) for value in box)
    expected, _ = crop(read_image(mixed / "a.jpg"), box._replace(side=1.5 * box.side), 100)
    assert image.shape == (100, 100, 3)
    assert np.abs(image.astype(int) - expected).mean() < 2  # JPEG
    assert about["crop_box"] == pytest.approx([50, 50, 100 / 1.5])
    assert about["image_size"] == [320, 256] and about["crop_size"] == 100
    assert about["sharpness"] == sharpness(read_image(mixed / "a.jpg"), box)


def test_small_faces_keep_their_pixels(tmp_path):
    small = photo()[::2, ::2]
    write_photo(tmp_path / "a.png", image=small)
    prepare([tmp_path / "a.png"], tmp_path / "out", HAAR)
    ((_, image, about),) = read_shards(tmp_path / "out")
    assert image.shape[0] == about["crop_size"] == round(1.25 * about["box"][2]) < 120


def test_limits_leave_faces_out(mixed, tmp_path):
    prepare([mixed], tmp_path / "out", PrepareSettings(detector="haar", min_sharpness=1))
    with pytest.raises(NothingFoundError, match="no face was found"):
        prepare([mixed], tmp_path / "small", PrepareSettings(detector="haar", min_side=300))
    with pytest.raises(NothingFoundError):
        prepare([mixed], tmp_path / "blur", PrepareSettings(detector="haar", min_sharpness=1e9))
    assert [reason for _, _, reason in skips(tmp_path / "small")].count("too small") == 5
    assert ("clip.avi", 5, "too blurred") in skips(tmp_path / "blur")


def test_the_largest_faces_are_kept(mixed, tmp_path):
    small = np.full((256, 160, 3), 90, np.uint8)
    small[64:192] = photo(2)[::2, ::2]
    both = write_photo(tmp_path / "a.png", image=np.concatenate((small, photo(3)), 1))
    prepare([both], tmp_path / "all", PrepareSettings(detector="haar", min_side=1))
    prepare([both], tmp_path / "one", PrepareSettings(detector="haar", min_side=1, max_faces=1))
    every, (largest,) = read_shards(tmp_path / "all"), read_shards(tmp_path / "one")
    assert len(every) > 1
    assert skips(tmp_path / "one") == [("a.png", None, "smaller faces")]
    assert largest[2]["box"] == max((about["box"] for _, _, about in every), key=lambda box: box[2])


def test_sharpness_falls_with_blur():
    import cv2

    image, box = portrait(), SquareBox(158, 120, 125)
    values = [sharpness(cv2.GaussianBlur(image, (0, 0), s), box) for s in (0.5, 1, 2, 4)]
    assert sorted(values, reverse=True) == values and values[0] > 5 * values[3]


def test_labels_beside_photos(tmp_path):
    image = picture(0, 200, 200)
    write_photo(tmp_path / "in/a.png", image=image)
    points = write_annotation(tmp_path / "in/a.mat")
    write_photo(tmp_path / "in/b.png", image=image)
    (tmp_path / "in/b.mat").write_bytes(b"damaged")
    write_photo(tmp_path / "in/c.png", image=image)
    settings = PrepareSettings(detector="labels", min_side=10)
    manifest = prepare([tmp_path / "in"], tmp_path / "out", settings)
    ((_, _, about),) = read_shards(tmp_path / "out")
    assert about["box"] == pytest.approx(square_box(points)[:3])
    scale = about["box"][2] / about["crop_box"][2]
    landmarks = np.array(about["landmarks"])
    in_photo = (landmarks[:, :2] - about["crop_box"][:2]) * scale + about["box"][:2]
    np.testing.assert_allclose(in_photo, points[:, :2], atol=0.01)
    np.testing.assert_allclose(landmarks[:, 2] * scale, points[:, 2], atol=0.01)
    assert manifest["counts"]["landmarks"] == 1
    assert manifest["counts"]["skipped"] == {"no face": 2, "unreadable labels": 1}


def test_photos_as_crops(tmp_path):
    write_photo(tmp_path / "in/a.png", image=picture(0, 100, 80))
    prepare([tmp_path / "in"], tmp_path / "out", PrepareSettings(detector="none"))
    ((_, _, about),) = read_shards(tmp_path / "out")
    assert about["box"] == [40, 50, 100] and about["identity"] is None


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layout": "videos"}, "layout must be one of photos, people"),
        ({"size": 0}, "size must be at least 1"),
        ({"max_faces": 0}, "max_faces must be at least 1"),
        ({"margin": 0.9}, "margin must be at least 1"),
        ({"quality": 101}, "quality must lie between"),
        ({"weights": "none.pth"}, "no such file of detector weights"),
        ({"detector": "eyes"}, "detector must be one of"),
        ({"detector": "mediapipe"}, "mediapipe"),
    ],
)
def test_settings_out_of_range(mixed, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        prepare([mixed], tmp_path / "out", PrepareSettings(**settings))
    assert not (tmp_path / "out").exists()


def test_inputs_that_cannot_be_used(tmp_path, mixed):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        prepare([tmp_path / "none"], tmp_path / "out", HAAR)
    with pytest.raises(UserError, match="neither an image nor a video"):
        prepare([mixed / "notes.txt"], tmp_path / "out", HAAR)
    with pytest.raises(UserError, match=r"two inputs are called a\.jpg"):
        prepare([mixed / "a.jpg", mixed / "a.jpg"], tmp_path / "out", HAAR)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image or video"):
        prepare([tmp_path / "empty"], tmp_path / "out", HAAR)
    with pytest.raises(UserError, match="workers must be at least 1"):
        prepare([mixed], tmp_path / "out", HAAR, workers=0)


def test_verify_names_what_changed(mixed, tmp_path):
    with pytest.raises(UserError, match="not the manifest"):
        verify(tmp_path)
    prepare([mixed / "a.jpg"], tmp_path / "out", HAAR)
    shard = tmp_path / "out/faces-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"faces-000000\.tar has changed"):
        verify(tmp_path / "out")
    shard.unlink()
    with pytest.raises(UserError, match=r"faces-000000\.tar is missing"):
        verify(tmp_path / "out")
