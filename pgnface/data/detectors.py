"""Finding faces in photos.

A detector is a function from an RGB image ``(H, W, 3)`` uint8 to the squares in which to look at
its faces, the largest first. Squares are those of :func:`pgnface.data.cropping.square_box`,
whatever the detector's own idea of a box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

from .cropping import SquareBox

Detector = Callable[[NDArray[np.uint8]], list[SquareBox]]

METHODS = (
    *("auto", "blazeface", "haar", "face-alignment", "face-alignment:blazeface"),
    *("face-alignment:retinaface", "face-alignment:scrfd", "face-alignment:yunet"),
    *("mediapipe", "dlib"),
)


def build_detector(
    method: str = "auto", weights: str | Path | None = None, device: str = "auto"
) -> Detector:
    """A detector by name.

    Args:
        method: ``"blazeface"``, the built-in network; ``"haar"``, OpenCV's cascades;
            ``"face-alignment"``, the S3FD network of the package of that name (``pip install
            pgnface[detect]``), or after a colon another of its detectors; ``"mediapipe"`` and
            ``"dlib"``, where those packages are installed; ``"auto"``, the built-in one.
        weights: file of the network's weights, in place of the built-in ones or the one that
            face-alignment keeps; MediaPipe needs its .tflite file.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for the GPU where it can be used, of
            the built-in network and face-alignment's.

    Raises:
        UserError: for an unknown method, or one whose package or weights are missing.
    """
    from . import optional_detectors as optional

    method = resolve_method(method)
    if method == "blazeface":
        from .blazeface import BlazeFaceDetector

        return BlazeFaceDetector(weights, device)
    if method == "haar":
        return HaarDetector()
    if method == "mediapipe":
        return optional.MediaPipeDetector(weights)
    if method == "dlib":
        return optional.DlibDetector()
    network = method.partition(":")[2] or "sfd"
    return optional.FaceAlignmentDetector(weights, device, network)


def resolve_method(method: str) -> str:
    """What ``"auto"`` stands for; other methods as they are.

    Raises:
        UserError: for an unknown method.
    """
    if method not in METHODS:
        raise UserError(f"detector must be one of {', '.join(METHODS)}, got {method!r}")
    return "blazeface" if method == "auto" else method


def detect_many(detect: Detector, images: Sequence[NDArray[np.uint8]]) -> list[list[SquareBox]]:
    """What a detector finds in each of several images, at once where it can."""
    batch = getattr(detect, "batch", None)
    return batch(images) if batch else [detect(image) for image in images]


class BoxFit(NamedTuple):
    """From a detector's square box to ours: shift of the centre in sides, factor of the side."""

    x: float
    y: float
    side: float

    def apply(self, x: float, y: float, side: float) -> SquareBox:
        return SquareBox(*map(float, (x + self.x * side, y + self.y * side, side * self.side)))


class HaarDetector:
    """OpenCV's Haar cascades (Viola and Jones 2001) for frontal faces and both profiles.

    A cascade's box becomes ours by the median shift and factor over annotated faces. Scores of
    different cascades cannot be compared: a frontal box goes before a profile that overlaps it.
    """

    _CASCADES = (
        ("haarcascade_frontalface_alt2.xml", False, BoxFit(0.0, 0.14, 1.17)),
        ("haarcascade_profileface.xml", False, BoxFit(-0.03, 0.15, 0.99)),
        ("haarcascade_profileface.xml", True, BoxFit(-0.03, 0.15, 0.99)),
    )
    # Measured on 120 annotated faces: 93 found, against 95 with 640 pixels, steps of 1.1 and 4
    # neighbours, in 39 % of the time. Faces below 24 of 320 pixels are not found.
    _WORKING_SIZE = 320
    _SMALLEST = (24, 24)
    _STEP = 1.15
    _NEIGHBOURS = 3

    def __init__(self) -> None:
        self._classifiers = []
        for name, mirrored, fit in self._CASCADES:
            classifier = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades, name)))
            if classifier.empty():
                raise UserError(f"OpenCV {cv2.__version__} does not ship the cascade {name}")
            self._classifiers.append((classifier, mirrored, fit))

    def __reduce__(self) -> tuple:
        """OpenCV's classifiers cannot be pickled, but are soon made anew."""
        return HaarDetector, ()

    def __call__(self, image: NDArray[np.uint8]) -> list[SquareBox]:
        """Squares of the faces in an RGB image, the largest first."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        factor = min(1.0, self._WORKING_SIZE / max(gray.shape))
        if factor < 1:
            gray = cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        gray = cv2.equalizeHist(gray)
        kept: list[SquareBox] = []
        for classifier, mirrored, fit in self._classifiers:
            found: list[tuple[float, SquareBox]] = []
            seen = np.ascontiguousarray(gray[:, ::-1]) if mirrored else gray
            boxes, _, scores = classifier.detectMultiScale3(
                *(seen, self._STEP, self._NEIGHBOURS),
                minSize=self._SMALLEST,
                outputRejectLevels=True,
            )
            for (left, top, side, _), score in zip(boxes, np.ravel(scores), strict=True):
                box = fit.apply(left + side / 2, top + side / 2, side)
                x = gray.shape[1] - box.x if mirrored else box.x
                box = SquareBox(x / factor, box.y / factor, box.side / factor)
                found.append((float(score), box))
            kept = suppress_overlaps(found, kept)
        return sorted(kept, key=lambda box: -box.side)


def suppress_overlaps(
    found: Sequence[tuple[float, SquareBox]],
    kept: Sequence[SquareBox] = (),
    overlap: float = 0.35,
) -> list[SquareBox]:
    """Of squares that overlap the best scored, after those ``kept``.

    They overlap when they share more than ``overlap`` of the smaller one's area: a cascade likes to
    see a small profile in an ear or a cheek.
    """
    kept = list(kept)
    for _, box in sorted(found, key=lambda entry: -entry[0]):
        smaller = [min(box.side, other.side) ** 2 for other in kept]
        shares = [shared_area(box, k) / s for k, s in zip(kept, smaller, strict=True)]
        if all(share < overlap for share in shares):
            kept.append(box)
    return kept


def shared_area(a: SquareBox, b: SquareBox) -> float:
    """Area in which two squares overlap."""
    (a0, a1, a2, a3), (b0, b1, b2, b3) = a.edges, b.edges
    return max(0.0, min(a2, b2) - max(a0, b0)) * max(0.0, min(a3, b3) - max(a1, b1))


def intersection_over_union(a: SquareBox, b: SquareBox) -> float:
    """Area that two squares share over the area that they cover."""
    shared = shared_area(a, b)
    return shared / (a.side**2 + b.side**2 - shared)
