"""The faces of units: crops as JPEG and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import cv2
import numpy as np
from numpy.typing import NDArray

from pgnface.data.cropping import SquareBox, crop, invert_warp, square_box, warp_points
from pgnface.data.detectors import (
    Detector,
    build_detector,
    detect_many,
    intersection_over_union,
)
from pgnface.data.unlabeled import central_square

from .frames import FaceTrack, Frame, Skip, read_frames, read_hints
from .inputs import Unit
from .settings import PrepareSettings

_SHARPNESS_SIZE = 112

# Landmarks whose box overlaps a detection's by more than this are of that face.
_SAME_FACE = 0.3


@dataclass(frozen=True)
class Sample:
    """A face.

    Attributes:
        jpeg: the crop.
        about: what its .json says.
    """

    jpeg: bytes
    about: dict

    @property
    def json(self) -> bytes:
        """``about`` as it is stored."""
        return json.dumps(self.about, sort_keys=True).encode()


Finder = Callable[[Sequence[Frame]], list[list[SquareBox]]]


def build_finder(settings: PrepareSettings) -> Finder:
    """What finds the squares of the faces in frames, the largest first."""
    if settings.detector == "none":
        return lambda frames: [[central_square(frame.image)] for frame in frames]
    if settings.detector == "labels":
        return lambda frames: [
            [] if frame.labels is None else [square_box(frame.labels.points)] for frame in frames
        ]
    detect: Detector = build_detector(settings.detector, settings.weights, settings.device)
    return lambda frames: [
        list(map(_rounded, found)) for found in detect_many(detect, [f.image for f in frames])
    ]


def _rounded(box: SquareBox) -> SquareBox:
    """A box in eighths of a pixel: processors differ in the last digits of a network."""
    return SquareBox(*(round(8 * value) / 8 for value in box))


def find_samples(
    units: Sequence[Unit], settings: PrepareSettings, finder: Finder
) -> Iterator[Sample | Skip]:
    """The faces of units in order, and what was left out and why."""
    frames = _detected(read_frames(units, settings.every), settings.batch, finder)
    for unit, found in groupby(frames, key=lambda entry: entry[0].unit):
        if unit.kind == "photo":
            yield from _photo_samples(found, settings)
        else:
            yield from _track_samples(unit, found, settings)


Detected = tuple[Frame | Skip, list[SquareBox]]


def _detected(frames: Iterator[Frame | Skip], batch: int, finder: Finder) -> Iterator[Detected]:
    """Frames and the faces in them; several are looked at together."""
    while together := list(islice(frames, batch)):
        boxes = iter(finder([frame for frame in together if isinstance(frame, Frame)]))
        for frame in together:
            yield frame, [] if isinstance(frame, Skip) else next(boxes)


def _photo_samples(found: Iterator[Detected], settings: PrepareSettings) -> Iterator[Sample | Skip]:
    for frame, boxes in found:
        if isinstance(frame, Skip):
            yield frame
            continue
        if not boxes:
            yield Skip(frame.unit, frame.source, frame.number, "no face")
        # Of a person's photo the largest face is theirs.
        kept = boxes[: settings.max_faces if frame.unit.identity is None else 1]
        if len(kept) < len(boxes):
            detail = f"{len(kept)} of {len(boxes)} kept"
            yield Skip(frame.unit, frame.source, frame.number, "smaller faces", detail)
        for box in kept:
            yield _sample(frame, box, settings, track=None)


def _track_samples(
    unit: Unit, found: Iterator[Detected], settings: PrepareSettings
) -> Iterator[Sample | Skip]:
    track, hints = FaceTrack(), read_hints(unit)
    tracks: dict[str, list[Sample]] = {}
    for frame, boxes in found:
        if isinstance(frame, Skip):
            yield frame
            continue
        box = track.follow(frame.image, boxes, hints.get(frame.path))
        if box is None:
            yield Skip(unit, frame.source, frame.number, "no face")
            continue
        # Where nothing says whose face it is, another track may be another person's.
        name = f"{unit.name}#{track.number}" if unit.identity is None else unit.name
        sample = _sample(frame, box, settings, name)
        if isinstance(sample, Skip):
            yield sample
        else:
            tracks.setdefault(name, []).append(sample)
    for name, samples in tracks.items():
        kept = _spread(samples, settings.max_frames)
        if len(kept) < len(samples):
            detail = f"{len(kept)} of {len(samples)} faces kept"
            yield Skip(unit, name, None, "long track", detail)
        yield from kept


def _spread(samples: list[Sample], count: int) -> list[Sample]:
    """At most ``count`` samples, evenly spread."""
    if len(samples) <= count:
        return samples
    return [samples[i] for i in np.linspace(0, len(samples) - 1, count).round().astype(int)]


def _sample(
    frame: Frame, box: SquareBox, settings: PrepareSettings, track: str | None
) -> Sample | Skip:
    """A face, or why it is left out."""

    def skip(reason: str, detail: str) -> Skip:
        return Skip(frame.unit, frame.source, frame.number, reason, detail)

    if box.side < settings.min_side:
        return skip("too small", f"box of {box.side:g} pixels")
    sharp = sharpness(frame.image, box)
    if sharp < settings.min_sharpness:
        return skip("too blurred", f"sharpness of {sharp:g}")
    whole = box._replace(side=box.side * settings.margin)
    size = max(1, min(settings.size, round(whole.side)))
    pixels, warp = crop(frame.image, whole, size)
    options = [cv2.IMWRITE_JPEG_QUALITY, settings.quality]
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], options)[1].tobytes()
    side = size / settings.margin
    height, width = frame.image.shape[:2]
    about = {
        "source": frame.source,
        "frame": frame.number,
        "identity": frame.unit.identity or track,
        "track": track,
        "box": list(box[:3]),
        "crop_box": [size / 2, size / 2, side],
        "crop_size": size,
        "image_size": [width, height],
        "sharpness": sharp,
        **_landmarks_in_crop(frame, box, warp),
    }
    return Sample(encoded, about)


def sharpness(image: NDArray[np.uint8], box: SquareBox) -> float:
    """Variance of the Laplacian of the face in grey, at 112 pixels (Pech-Pacheco et al., *Diatom
    autofocusing in brightfield microscopy*, ICPR 2000), to three digits after the point.
    """
    face = cv2.cvtColor(crop(image, box, _SHARPNESS_SIZE)[0], cv2.COLOR_RGB2GRAY)
    return round(float(cv2.Laplacian(face, cv2.CV_64F).var()), 3)


def _landmarks_in_crop(frame: Frame, box: SquareBox, warp: NDArray) -> dict:
    """Landmarks beside the photo in pixels of the crop, where they are those of this face."""
    labels = frame.labels
    if labels is None or intersection_over_union(square_box(labels.points), box) < _SAME_FACE:
        return {"landmarks": None}
    moved = warp_points(invert_warp(warp), labels.points)
    return {"landmarks": moved.round(3).tolist(), "jaw_on_contour": labels.contour}
