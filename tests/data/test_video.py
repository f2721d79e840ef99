import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.augment import CropJitter
from pgnface.data.cropping import SquareBox, crop
from pgnface.data.video import (
    Video,
    VideoSource,
    _surroundings,
    follow_face,
    interpolate_boxes,
    spread_frames,
)

from .faces import SIZE, picture, write_video


def find_square(image):
    """The bright square of a generated video."""
    rows, columns = np.nonzero(image.mean(2) > 150)
    if not len(rows):
        return []
    return [SquareBox(columns.mean() + 0.5, rows.mean() + 0.5, 24.0)]


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr("pgnface.data.video.build_detector", lambda method: find_square)


def truncate(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    return path


def test_frames_in_order(tmp_path):
    video = Video(write_video(tmp_path / "a.avi", 10))
    frames = dict(video.frames(every=3))
    assert list(frames) == [0, 3, 6, 9]
    assert (video.promised, video.decoded, video.shortfall) == (10, 10, None)
    assert frames[6].shape == (64, 64, 3) and frames[6].dtype == np.uint8
    assert find_square(frames[6])[0].x == pytest.approx(16, abs=0.5)


def test_truncated_video_says_so(tmp_path):
    video = Video(truncate(write_video(tmp_path / "a.avi", 40), 0.5))
    frames = list(video.frames())
    assert 10 < len(frames) < 40
    if video.promised:
        assert (
            video.shortfall
            == f"ends early: {video.promised} frames promised, {len(frames)} decoded"
        )


@pytest.mark.parametrize("content", [b"", b"this is no video" * 100])
def test_what_is_no_video(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mp4: is not a video"):
        Video(path)


def test_missing_video(tmp_path):
    with pytest.raises(UserError, match=r"none\.mp4: no such file"):
        Video(tmp_path / "none.mp4")
    with pytest.raises(UserError, match="every must be at least 1, got 0"):
        list(Video(write_video(tmp_path / "a.avi", 2)).frames(every=0))


@pytest.mark.parametrize("count, maximum, kept", [(10, 10, 10), (10, 9, 5), (10, 4, 3), (10, 1, 1)])
def test_frames_are_spread_over_the_video(tmp_path, count, maximum, kept):
    images = spread_frames(Video(write_video(tmp_path / "a.avi", count)), maximum)
    places = [find_square(image)[0].x for image in images]
    assert len(images) == kept
    if kept > 1:
        np.testing.assert_allclose(np.diff(places), np.diff(places)[0], atol=1)


def test_crops_are_frames_of_one_person(tmp_path, found):
    path = write_video(tmp_path / "a.avi", 20)
    source = VideoSource(path, SIZE, frames=3, jitter=CropJitter(0, 0, 0))
    assert len(source) == 20
    batch = source.batch(0, 6)
    assert batch.image.shape == (2, 3, 3, SIZE, SIZE)
    assert not batch.same_image.any() and batch.names[0].startswith("a.avi:")
    chosen = [int(i) for i in batch.names[0].split(":")[1].split(",")]
    assert chosen == sorted(set(chosen)) and chosen[0] < 6 <= chosen[1] < 13 <= chosen[2]
    # The square fills the same part of each crop although it moves through the video.
    bright = batch.image.mean(2)
    np.testing.assert_allclose((bright[..., 12:20, 12:20]).mean((-1, -2)), 0.86, atol=0.3)


def test_surroundings_hold_all_that_a_crop_shows():
    image = picture(height=80, width=90)
    for box in (SquareBox(40.3, 30.6, 21.7), SquareBox(85, 75, 30), SquareBox(2, 40, 25)):
        cut, moved = _surroundings(image, box)
        assert cut.size < image.size
        wider = 1.3
        np.testing.assert_array_equal(
            crop(cut, moved._replace(side=wider * box.side), 24)[0],
            crop(image, box._replace(side=wider * box.side), 24)[0],
        )


def test_video_that_ends_early_is_used_and_counted(tmp_path, found, monkeypatch):
    path = write_video(tmp_path / "a.avi", 8)
    original = Video.__init__

    def promising(self, path):
        original(self, path)
        self.promised = 100

    monkeypatch.setattr(Video, "__init__", promising)
    source = VideoSource(path, SIZE)
    assert source.skipped == {"a.avi": "ends early: 100 frames promised, 8 decoded"}
    assert len(source) == 8


def test_too_few_faces(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.avi", 5)
    monkeypatch.setattr("pgnface.data.video.build_detector", lambda method: lambda image: [])
    with pytest.raises(UserError, match="a face in 0 of 5 frames, expected at least 2"):
        VideoSource(path, SIZE)
    with pytest.raises(UserError, match="frames must be at least 1"):
        VideoSource(path, SIZE, frames=0)


def test_the_face_is_followed_by_overlap():
    walker = [SquareBox(10 + 2 * i, 20, 12) for i in range(6)]
    other = SquareBox(80, 20, 10)
    seen = [
        [walker[0], other],
        [other._replace(side=30), walker[1]],  # now the other one is the largest
        [other],
        [],
        [walker[4], walker[4]._replace(x=24)],
        [walker[5]],
    ]
    track = follow_face(list(range(6)), lambda i: list(seen[i]))
    assert track == [walker[0], walker[1], None, None, walker[4], walker[5]]
    np.testing.assert_allclose(interpolate_boxes(track), walker)


def test_boxes_before_and_after_a_track_stay():
    box = SquareBox(5, 6, 7)
    assert interpolate_boxes([None, box, None]) == [box] * 3


@pytest.mark.kit
def test_real_video_that_ends_early(kit):
    video = Video(kit / "samples" / "talking_head.mp4")
    assert video.promised == 158
    assert len(list(video.frames(every=10))) == 6
    assert video.shortfall == "ends early: 158 frames promised, 55 decoded"
