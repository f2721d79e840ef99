import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data.augment import CropJitter
from pgnface.data.cropping import SquareBox
from pgnface.data.folder import FolderSource
from pgnface.data.unlabeled import central_square, random_crops

from .faces import SIZE, encoded, picture, write_faces


def test_frames_are_crops_of_one_photo(tmp_path):
    write_faces(tmp_path, 3, annotated=False)
    batch = FolderSource(tmp_path, SIZE, frames=3).batch(0, 9)
    assert batch.image.shape == (3, 3, 3, SIZE, SIZE)
    assert batch.same_image.all() and not batch.annotated.any()
    assert not batch.landmark_weights.any() and not batch.pose_weight.any()
    assert sorted(batch.names) == ["face000.jpg", "face001.jpg", "face002.jpg"]
    assert not torch.equal(batch.image[:, 0], batch.image[:, 1])


def test_warps_lead_to_the_photo_or_its_mirror_image(monkeypatch):
    monkeypatch.setattr("pgnface.data.unlabeled.degrade", lambda image, rng: image)
    x, y = np.meshgrid(np.arange(60) + 0.5, np.arange(60) + 0.5)
    image = np.round(np.stack((4 * x, 4 * y, 0 * x), -1)).astype(np.uint8)
    sides = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        box = SquareBox(36, 28, 20)
        crops = random_crops("a", [image] * 2, [box] * 2, 20, CropJitter(), rng)
        mirrored = np.diff(crops.images[..., 0].astype(int), axis=2).mean() < 0
        sides.append(mirrored)
        for crop, warp in zip(crops.images, crops.warps, strict=True):
            rows, columns = np.mgrid[0:20, 0:20] + 0.5
            seen = np.stack((columns, rows), -1) @ warp[:, :2].T + warp[:, 2]
            if mirrored:
                seen[..., 0] = 60 - seen[..., 0]
            np.testing.assert_allclose(crop[..., :2] / 4, seen, atol=0.3)
    assert 0 < sum(sides) < 8


def test_extent_widens_the_crop(tmp_path):
    write_faces(tmp_path, 1, annotated=False)
    still = CropJitter(0, 0, 0)
    batch = FolderSource(tmp_path, SIZE, extent=0.5, jitter=still).batch(0, 2)
    expected = [[30 / SIZE, 0, 15], [0, 30 / SIZE, 15]]
    np.testing.assert_allclose(batch.warp[0, 0], expected, atol=1e-5)
    assert central_square(np.zeros((20, 50, 3))) == SquareBox(25, 10, 50)


def test_broken_photos_are_replaced_and_counted(tmp_path):
    (tmp_path / "deeper").mkdir()
    paths = write_faces(tmp_path / "deeper", 4, annotated=False)
    paths[1].write_bytes(encoded(picture())[:300])
    source = FolderSource(tmp_path, SIZE)
    names = {name for step in range(3) for name in source.batch(step, 8).names}
    assert names == {f"deeper/face{i:03d}.jpg" for i in (0, 2, 3)}
    assert list(source.skipped) == ["deeper/face001.jpg"]


def test_photos_without_a_face_are_counted_and_the_largest_face_is_used(tmp_path, monkeypatch):
    paths = write_faces(tmp_path, 2, annotated=False)
    paths[0].write_bytes(encoded(np.zeros((60, 60, 3), np.uint8)))
    calls = []

    def detect(image):
        calls.append(image)
        return [SquareBox(20, 20, 10), SquareBox(40, 30, 24)] if image.any() else []

    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda method: detect)
    source = FolderSource(tmp_path, SIZE, detector="haar", jitter=CropJitter(0, 0, 0))
    batch = source.batch(0, 8)
    assert set(batch.names) == {"face001.jpg"}
    assert "no face found" in source.skipped["face000.jpg"]
    sides = batch.warp[..., 0, 0] * SIZE
    np.testing.assert_allclose(sides, 24, atol=1e-4)
    source.batch(1, 8)
    assert len(calls) == 2, "each photo is searched once"


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FolderSource(tmp_path / "none", SIZE)
    with pytest.raises(UserError, match="no image files"):
        FolderSource(tmp_path, SIZE)
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(UserError, match="none of 1 images can be used"):
        FolderSource(tmp_path, SIZE).batch(0, 2)
    with pytest.raises(UserError, match="frames must be at least 1, got 0"):
        FolderSource(tmp_path, SIZE, frames=0)
    with pytest.raises(UserError, match="detector must be one of"):
        FolderSource(tmp_path, SIZE, detector="eyes")
