#!/usr/bin/env python3
"""Finds the coefficients of pgnface/data/face_square.py on annotated faces.

    python tools/fit_face_square.py PATH_TO_AFLW2000

The training blocks are fitted, faces and their mirror images; the errors of the validation blocks
are printed by |yaw|, with Haar's beside them, in percent of the true square's side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tyro

from pgnface.data.aflw2000 import list_samples
from pgnface.data.annotation import AnnotationError, read_annotation
from pgnface.data.blazeface import BlazeFaceDetector, Detection
from pgnface.data.cropping import SquareBox, square_box
from pgnface.data.detectors import build_detector
from pgnface.data.face_square import face_axes, square_features
from pgnface.data.images import read_image

# The last bin holds what lies beyond, too.
_BINS = ((0, 30), (30, 60), (60, np.inf))
# Keeps coefficients small that the faces hardly determine.
_RIDGE = 1e-5


def annotated(root: Path, split: str) -> Iterator[tuple[np.ndarray, SquareBox, float]]:
    """Image, true square and |yaw| in degrees."""
    for path in list_samples(root, split):
        try:
            annotation = read_annotation(path.with_suffix(".mat"))
        except AnnotationError as error:
            print(f"left out: {error}")
            continue
        yield read_image(path), square_box(annotation.landmarks), abs(annotation.angles[1])


def nearest(found: list, squares: list[SquareBox], true: SquareBox):
    """Of what was found the one whose square lies nearest to the true one, None when far."""
    distances = [np.hypot(box.x - true.x, box.y - true.y) for box in squares]
    if not distances or min(distances) > true.side / 3:
        return None
    return found[int(np.argmin(distances))]


def mirrored(face: Detection, true: SquareBox) -> tuple[Detection, SquareBox]:
    """A face and its square in the picture mirrored at x = 0."""
    flip = np.array([-1, 1])
    keypoints = face.keypoints[[1, 0, 2, 3, 5, 4]] * flip
    box = np.concatenate((face.box[:2] * flip, face.box[2:]))
    return Detection(face.score, box, keypoints), true._replace(x=-true.x)


def targets(face: Detection, true: SquareBox) -> np.ndarray:
    """Shift across and down the face and side, ``(3,)``, in sides of the box."""
    shift = face_axes(face.keypoints) @ (np.array(true[:2]) - face.box[:2])
    return np.array([*shift, true.side]) / face.box[2:].mean()


def fit(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least absolute errors by reweighted least squares."""
    weights = np.ones(len(target))
    for _ in range(20):
        weighted = features.T * weights
        ridge = _RIDGE * weights.sum() * np.eye(features.shape[1])
        solution = np.linalg.solve(weighted @ features + ridge, weighted @ target)
        weights = 1 / np.maximum(abs(features @ solution - target), 0.03)
    return solution


def report(root: Path, name: str) -> None:
    """Print what a detector finds of the validation blocks, and how far its squares lie off."""
    detect = build_detector(name)
    rows = []
    for image, true, yaw in annotated(root, "validation"):
        squares = detect(image)
        box = nearest(squares, squares, true)
        errors = (np.nan, np.nan)
        if box is not None:
            errors = (np.hypot(box.x - true.x, box.y - true.y), abs(box.side - true.side))
        rows.append((yaw, len(squares) - (box is not None), *(e / true.side for e in errors)))
    rows = np.array(rows)
    print(f"{name}: {int(rows[:, 1].sum())} other squares in {len(rows)} images")
    for low, high in _BINS:
        part = rows[(rows[:, 0] >= low) & (rows[:, 0] < high), 2:]
        found = part[~np.isnan(part[:, 0])]
        centre, side = 100 * found.mean(0)
        print(
            f"  |yaw| {low}-{high}: {len(found)} of {len(part)} found, "
            f"centre {centre:.1f} %, side {side:.1f} %"
        )


def main(root: tyro.conf.Positional[Path]) -> None:
    """Fit, and report.

    Args:
        root: folder of AFLW2000-3D.
    """
    detector = BlazeFaceDetector()
    faces = []
    for image, true, _ in annotated(root, "train"):
        found = detector.detect([image])[0]
        face = nearest(found, [face.square for face in found], true)
        if face is not None:
            faces += [(face, true), mirrored(face, true)]
    features = [square_features(face.box, face.keypoints) for face, _ in faces]
    target = np.array([targets(face, true) for face, true in faces])
    for i, name in enumerate(("_CROSS", "_DOWN", "_SIDE")):
        solution = fit(np.array([row[i] for row in features]), target[:, i])
        print(f"{name} = ({', '.join(f'{value:.3f}' for value in solution)})")
    for name in ("blazeface", "haar"):
        report(root, name)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
