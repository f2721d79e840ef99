"""Faces with known landmarks for experiments on single pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface.morphable import MorphableModel


@dataclass(frozen=True)
class KnownFace:
    """A picture of one face.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        landmarks: ``(68, 3)`` in its pixels.
        yaw: degrees.
        annotated: whether the landmarks are in the style of a data set's annotation rather than
            vertices of the face model.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    yaw: float
    annotated: bool


def rendered_faces(model: MorphableModel, count: int, image_size: int) -> list[KnownFace]:
    """People whom training never sees, without camera defects.

    Args:
        model: the face model.
        count: number of faces.
        image_size: pixels of the pictures.
    """
    from pgnface.evaluation.protocols.synthetic import held_out_people
    from pgnface.geometry import angles_from_rotation

    batch = held_out_people(model, -(-count // 2), image_size, degrade=False)
    images = (batch.images.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    yaw = angles_from_rotation(batch.pose.rotation.flatten(0, 1))[:, 1].tolist()
    landmarks = batch.landmarks.flatten(0, 1).double().numpy()
    return [
        KnownFace(image, points, angle, annotated=False)
        for image, points, angle in zip(images, landmarks, yaw, strict=True)
    ][:count]


def annotated_faces(root: str | Path, split: str, count: int) -> tuple[list[KnownFace], dict]:
    """Photos of a folder in the format of AFLW2000-3D, evenly spread over it.

    Args:
        root: the folder.
        split: ``"all"``, ``"train"`` or ``"validation"``.
        count: at most this many.

    Returns:
        The faces, and what was left out: file name to reason.

    Raises:
        UserError: when none can be used.
    """
    from pgnface._errors import UserError
    from pgnface.data.aflw2000 import list_samples
    from pgnface.data.annotation import read_annotation
    from pgnface.data.images import read_image

    paths = list_samples(root, split)
    paths = [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]
    faces, skipped = [], {}
    for path in paths:
        try:
            truth, image = read_annotation(path.with_suffix(".mat")), read_image(path)
        except (ValueError, OSError) as error:
            skipped[path.name] = str(error)
            continue
        faces.append(KnownFace(image, truth.landmarks, float(truth.angles[1]), annotated=True))
    if not faces:
        raise UserError(f"{root}: no usable face in split {split!r} ({len(skipped)} left out)")
    return faces, skipped
