"""Frames of video files, and a person in a video as a training source."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

from .augment import CropJitter
from .cropping import SquareBox
from .detectors import Detector, build_detector, intersection_over_union
from .unlabeled import UnlabeledSource, Views

VIDEO_SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".mjpg",
    ".mjpeg",
)


class Video:
    """The frames of a video file, in order.

    Args:
        path: the file.

    Attributes:
        promised: frames that the file's header announces, 0 where it does not say.
        decoded: frames read so far; less than ``promised`` at the end of a file that was cut short.

    Raises:
        UserError: when the file is missing or cannot be opened as a video.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such file")
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise UserError(f"{path}: is not a video that OpenCV can decode")
        self.promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.decoded = 0

    def frames(self, every: int = 1) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Number and RGB image ``(H, W, 3)`` of every ``every``-th frame, from the first."""
        if every < 1:
            raise UserError(f"every must be at least 1, got {every}")
        while self._capture.grab():
            number = self.decoded
            self.decoded += 1
            if number % every == 0:
                ok, frame = self._capture.retrieve()
                if ok:
                    yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        self._capture.release()

    @property
    def shortfall(self) -> str | None:
        """What to tell a person when fewer frames came than were promised, after the last one."""
        if self.decoded >= self.promised:
            return None
        return f"ends early: {self.promised} frames promised, {self.decoded} decoded"


class VideoSource(UnlabeledSource):
    """Crops of one person from frames of a video, without labels.

    The face is followed by overlap from its largest detection; frames where it is not found are
    interpolated between their neighbours. The surroundings of the face are kept in memory; the
    warps of a batch lead to them.

    Args:
        path: the file.
        image_size: pixels of the crops.
        frames: frames of each entry of a batch, drawn from all over the video.
        detector: see :func:`pgnface.data.detectors.build_detector`.
        seed: of the choice of frames and the augmentation.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.
        maximum: frames used at most, evenly spread over the video.

    Raises:
        UserError: when the file is no video, or shows a face in fewer than ``frames`` frames.
            A video that ends early is used as far as it goes, and counted in ``skipped``.
    """

    same_image = False

    def __init__(
        self,
        path: str | Path,
        image_size: int,
        frames: int = 2,
        detector: str = "auto",
        seed: int = 0,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
        maximum: int = 300,
    ) -> None:
        super().__init__(image_size, frames, seed, identity_count, expression_count, jitter)
        self._file = Path(path).name
        video = Video(path)
        images = spread_frames(video, maximum)
        if video.shortfall:
            self.skipped[self._file] = video.shortfall
        boxes = follow_face(images, build_detector(detector))
        if sum(box is not None for box in boxes) < frames:
            raise UserError(
                f"{path}: a face in {sum(b is not None for b in boxes)} of {len(images)} frames, "
                f"expected at least {frames}"
            )
        cuts = map(_surroundings, images, interpolate_boxes(boxes))
        self._images, self._boxes = zip(*cuts, strict=True)

    def __len__(self) -> int:
        return len(self._images)

    def _name(self, position: int) -> str:
        return self._file

    def _views(self, position: int, rng: np.random.Generator) -> Views:
        # One frame from each of equal stretches: frames side by side would teach nothing.
        edges = np.linspace(0, len(self), self.frames + 1).astype(int)
        chosen = [int(rng.integers(a, b)) for a, b in pairwise(edges)]
        return Views(
            f"{self._file}:{','.join(map(str, chosen))}",
            [self._images[i] for i in chosen],
            [self._boxes[i] for i in chosen],
        )


def spread_frames(video: Video, maximum: int) -> list[NDArray[np.uint8]]:
    """Evenly spread frames: all, or at least half of ``maximum``.

    Independent of the number of frames that the header promises, which may be missing or wrong.
    """
    images: list[NDArray[np.uint8]] = []
    every = 1
    for number, image in video.frames():
        if number % every == 0:
            images.append(image)
        if len(images) > maximum:
            images, every = images[::2], 2 * every
    return images


def _surroundings(
    image: NDArray[np.uint8], box: SquareBox, extent: float = 2.0
) -> tuple[NDArray[np.uint8], SquareBox]:
    """What crops about a box can see of an image, and the box in it."""
    left, top, right, bottom = box._replace(side=extent * box.side).edges
    low = np.clip((left, top), 0, np.array(image.shape[1::-1]) - 1).astype(int)
    high = np.maximum(np.ceil((right, bottom)).astype(int), low + 1)
    cut = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    return cut, box._replace(x=box.x - low[0], y=box.y - low[1])


def follow_face(images: list[NDArray[np.uint8]], detect: Detector) -> list[SquareBox | None]:
    """The box of one face in each frame, ``None`` where it is not found.

    The track starts at the largest face and goes on with the detection that overlaps the last box
    most, if any does.
    """
    track: list[SquareBox | None] = []
    last: SquareBox | None = None
    for image in images:
        track.append(continue_track(detect(image), last))
        last = track[-1] or last
    return track


def continue_track(found: list[SquareBox], last: SquareBox | None) -> SquareBox | None:
    """Of the faces in a frame, largest first, the one whose box was ``last``, if any is."""
    if last is None:
        return found[0] if found else None
    best = max(found, key=lambda box: intersection_over_union(box, last), default=None)
    return best if best is not None and intersection_over_union(best, last) > 0.2 else None


def interpolate_boxes(boxes: list[SquareBox | None]) -> list[SquareBox]:
    """Boxes for all frames of a track of which at least one is known."""
    known = [i for i, box in enumerate(boxes) if box is not None]
    values = np.array([boxes[i] for i in known], dtype=np.float64)
    everywhere = np.arange(len(boxes))
    columns = [np.interp(everywhere, known, column) for column in values.T]
    return [SquareBox(*map(float, row)) for row in zip(*columns, strict=True)]
