"""How much worse landmarks get when a picture, or the square cut out of it, gets worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pgnface.data.cropping import BOX_SCALE, SquareBox, square_box
from pgnface.evaluation.metrics import sparse_nme
from pgnface.networks.inference import predict_faces

from .faces import KnownFace

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork

_YAW_EDGES = (0, 15, 30, 45, 60, 75, 90)
Image = NDArray[np.uint8]
Change = Callable[[Image, SquareBox, float, np.random.Generator], tuple[Image, SquareBox]]


class Condition(NamedTuple):
    """A way in which pictures get worse.

    Attributes:
        unit: of the strength, for the axis of a plot.
        strengths: what is measured; the first leaves the picture as it is.
        change: picture, box, strength and random numbers to a worse picture or another box.
    """

    unit: str
    strengths: tuple[float, ...]
    change: Change


def occlude(image: Image, box: SquareBox, share: float, rng: np.random.Generator):
    """A grey square over ``share`` of the face's box, anywhere in it."""
    face = box.side / BOX_SCALE
    side = face * share**0.5
    corner = np.array([box.x, box.y]) - face / 2 + rng.uniform(0, face - side, 2)
    (x0, y0), (x1, y1) = np.rint(corner).astype(int), np.rint(corner + side).astype(int)
    changed = image.copy()
    changed[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 127
    return changed, box


def blur(image: Image, box: SquareBox, percent: float, rng: np.random.Generator):
    """A Gaussian of so many percent of the crop's side as its standard deviation."""
    return (cv2.GaussianBlur(image, (0, 0), percent * box.side / 100) if percent else image), box


def reduce(image: Image, box: SquareBox, pixels: float, rng: np.random.Generator):
    """The crop with so many pixels a side."""
    factor = pixels / box.side
    if factor >= 1:
        return image, box
    size = [max(1, round(factor * side)) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), box


def shift(image: Image, box: SquareBox, percent: float, rng: np.random.Generator):
    """The square moved in any direction by so many percent of its side."""
    angle = rng.uniform(0, 2 * np.pi)
    by = percent / 100 * box.side
    return image, SquareBox(box.x + by * np.cos(angle), box.y + by * np.sin(angle), box.side)


def resize(image: Image, box: SquareBox, percent: float, rng: np.random.Generator):
    """The square larger or, in half of the cases, smaller by so many percent."""
    factor = 1 + percent / 100
    return image, box._replace(side=box.side * (factor if rng.random() < 0.5 else 1 / factor))


CONDITIONS = {
    "occlusion": Condition("share of the face's box", (0, 0.05, 0.1, 0.2, 0.3, 0.4), occlude),
    "blur": Condition("sigma, % of the crop's side", (0, 0.5, 1, 2, 3, 4), blur),
    "resolution": Condition("pixels of the crop", (1024, 64, 48, 32, 24, 16), reduce),
    "crop moved": Condition("% of its side", (0, 4, 8, 12, 16, 20), shift),
    "crop resized": Condition("%, larger or smaller", (0, 5, 10, 15, 20, 30), resize),
}
"""What is measured, by name."""


def measure_robustness(
    network: PoseGuidanceNetwork,
    faces: Sequence[KnownFace],
    *,
    seed: int = 0,
    batch_size: int = 32,
) -> dict[str, dict[str, float]]:
    """Mean 2D NME in percent of the position map's landmarks, by condition and strength.

    Args:
        network: measured in evaluation mode.
        faces: cropped by their true landmarks, unless the condition says otherwise.
        seed: of directions and places; all networks see the same pictures.
        batch_size: faces in one run of the network.

    Returns:
        For each of :data:`CONDITIONS`, and for ``"yaw"`` by bins of |yaw| in degrees: strength to
        error. Bins without a face are left out.

    Raises:
        ValueError: without a face.
    """
    if not faces:
        raise ValueError("faces: expected at least one")
    boxes = [square_box(face.landmarks) for face in faces]
    table: dict[str, dict[str, float]] = {}
    for name, condition in CONDITIONS.items():
        table[name] = {}
        for strength in condition.strengths:
            rng = np.random.default_rng([seed, *name.encode()])
            changed = [
                condition.change(face.image, box, strength, rng)
                for face, box in zip(faces, boxes, strict=True)
            ]
            errors = _errors(network, faces, changed, batch_size)
            table[name][f"{strength:g}"] = float(errors.mean())
    unchanged = [(face.image, box) for face, box in zip(faces, boxes, strict=True)]
    table["yaw"] = _by_yaw(faces, _errors(network, faces, unchanged, batch_size))
    return table


def _errors(
    network: PoseGuidanceNetwork,
    faces: Sequence[KnownFace],
    changed: Sequence[tuple[Image, SquareBox]],
    batch_size: int,
) -> torch.Tensor:
    errors = []
    for start in range(0, len(faces), batch_size):
        images, boxes = zip(*changed[start : start + batch_size], strict=True)
        found = predict_faces(network, images, boxes)
        for i, face in enumerate(faces[start : start + batch_size]):
            points = (found.annotated_landmarks if face.annotated else found.landmarks)[i, :, :2]
            true = torch.from_numpy(face.landmarks[:, :2]).float()
            errors.append(sparse_nme(points[None].cpu(), true[None]))
    return torch.cat(errors)


def _by_yaw(faces: Sequence[KnownFace], errors: torch.Tensor) -> dict[str, float]:
    yaw = torch.tensor([abs(face.yaw) for face in faces])
    bins = torch.bucketize(yaw, torch.tensor(_YAW_EDGES[1:-1], dtype=yaw.dtype))
    return {
        f"{low}-{high}": float(errors[bins == i].mean())
        for i, (low, high) in enumerate(pairwise(_YAW_EDGES))
        if (bins == i).any()
    }
