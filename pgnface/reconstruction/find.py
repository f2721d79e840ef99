"""From what a detector finds in an image to the faces there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import Detector, intersection_over_union
from pgnface.networks import (
    PoseGuidanceNetwork,
    Prediction,
    join_predictions,
    split_prediction,
)
from pgnface.networks.inference import (
    boxes_around,
    fit_error,
    predict_faces,
    predict_faces_twice,
)
from pgnface.reconstruction.face import Face, build_faces
from pgnface.reconstruction.person import share_identity

# Two detections whose boxes overlap by more than this are one face.
_SAME_FACE = 0.5
# Of a face both are less: percent that the network sees differently in the mirror, and by which the
# two kinds of landmarks differ. By tools/fit_face_check.py, to be chosen anew for new weights.
_MIRROR_ERROR, _FIT_ERROR = 10.0, 2.5


class Rejected(NamedTuple):
    """A detection that was left out.

    Attributes:
        box: the square around the landmarks that the network put there.
        mirror_error: of :class:`pgnface.networks.inference.BothSides`.
        fit_error: of :class:`pgnface.reconstruction.face.Face`.
        picture: number of the image, where there are several.
    """

    box: SquareBox
    mirror_error: float
    fit_error: float
    picture: int = 0

    def __str__(self) -> str:
        edges = ", ".join(f"{edge:.0f}" for edge in self.box.edges)
        return (
            f"a detection at ({edges}) is left out as no face: what is seen in it and in its "
            f"mirror image differs by {self.mirror_error:.0f} % (a face: {_MIRROR_ERROR:.0f} at "
            f"most), and the face model fits to {self.fit_error:.1f} % ({_FIT_ERROR:.1f} at most)"
        )


def find_faces(
    network: PoseGuidanceNetwork,
    image: NDArray[np.uint8],
    finder: Detector,
    rejected: list[Rejected] | None = None,
) -> list[Face]:
    """Reconstruct what a finder (image to boxes) finds in an image, largest first.

    Args:
        network, image, finder: what to use.
        rejected: gets the detections in which the network sees no face; without it every box counts
            as one.
    """
    boxes, prediction = _find(network, image, finder, rejected)
    if prediction is None:
        return []
    faces = build_faces(network, [image] * len(boxes), boxes, prediction)
    return sorted(faces, key=lambda face: -face.box.side)


def find_person(
    network: PoseGuidanceNetwork,
    images: Sequence[NDArray[np.uint8]],
    finder: Detector,
    rejected: list[Rejected] | None = None,
) -> list[Face | None]:
    """Reconstruct the largest face of each image, ``None`` where there is none, as one person: the
    identity is that of all images together, and every pose is solved anew for it. ``rejected`` is
    as for :func:`find_faces`.
    """
    found = []
    for number, image in enumerate(images):
        new = None if rejected is None else []
        boxes, prediction = _find(network, image, finder, new)
        if new:
            rejected += [detection._replace(picture=number) for detection in new]
        if prediction is not None:
            largest = max(range(len(boxes)), key=lambda i: boxes[i].side)
            single = split_prediction(prediction, [1] * len(boxes))[largest]
            found.append((number, boxes[largest], single))
    faces: list[Face | None] = [None] * len(images)
    if not found:
        return faces
    numbers, boxes, predictions = zip(*found, strict=True)
    shared = share_identity(network, join_predictions(predictions))
    built = build_faces(network, [images[i] for i in numbers], boxes, shared)
    for number, face in zip(numbers, built, strict=True):
        faces[number] = face
    return faces


def _find(
    network: PoseGuidanceNetwork,
    image: NDArray[np.uint8],
    finder: Detector,
    rejected: list[Rejected] | None,
) -> tuple[list[SquareBox], Prediction | None]:
    """The squares around an image's faces, and the prediction of these."""
    boxes = finder(image)
    if not boxes:
        return [], None
    # Crops cut anew around the landmarks depend less on the detector's habits, and two detections
    # of one face become alike.
    boxes = _distinct(boxes_around(predict_faces(network, [image] * len(boxes), boxes)))
    prediction, mirror_errors = predict_faces_twice(network, [image] * len(boxes), boxes)
    if rejected is None:
        return boxes, prediction
    kept = []
    for box, mirror_error, fit, part in zip(
        *(boxes, mirror_errors.tolist(), fit_error(prediction).tolist()),
        split_prediction(prediction, [1] * len(boxes)),
        strict=True,
    ):
        if mirror_error <= _MIRROR_ERROR and fit <= _FIT_ERROR:
            kept.append((box, part))
        else:
            rejected.append(Rejected(box, mirror_error, fit))
    if not kept:
        return [], None
    return [box for box, _ in kept], join_predictions([part for _, part in kept])


def _distinct(boxes: Sequence[SquareBox]) -> list[SquareBox]:
    """Boxes without those that overlap an earlier one too much."""
    kept: list[SquareBox] = []
    for box in boxes:
        if all(intersection_over_union(box, other) < _SAME_FACE for other in kept):
            kept.append(box)
    return kept
