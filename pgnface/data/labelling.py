"""Landmarks of unlabelled faces, as teachers see them.

Pseudo-labels (Lee, ICML workshops 2013), in the way of Xie et al., *Self-training with Noisy
Student* (CVPR 2020): teachers look at clean crops and at their mirror images, the student then
learns their mean from crops that are moved, occluded and degraded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError

from .cropping import BOX_SCALE, SquareBox, square_box, square_boxes, upright_square
from .images import decode_image
from .shard_rewriting import rewrite_shards, written_images
from .shards import ShardImage, expand_shards, read_shard

if TYPE_CHECKING:
    from .teachers import Teacher, YawWeights

MANIFEST = "labels.json"

_BATCH = 64


class TaughtLandmarks(NamedTuple):
    """What teachers say of ``N`` faces.

    Attributes:
        landmarks: ``(N, 68, 3)`` in pixels of the images, in the style of the annotation, of mean
            depth 0; NaN where no teacher sees a face.
        spread: ``(N,)``, mean over the landmarks of the standard deviation of their 2D places among
            the teachers and the mirror images, in percent of the longer side of the landmarks' box.
    """

    landmarks: Tensor
    spread: Tensor


@torch.no_grad()
def teach_landmarks(
    teachers: Sequence[Teacher],
    images: Sequence[NDArray[np.uint8]],
    boxes: Sequence[SquareBox],
    weights: YawWeights | None = None,
    passes: int = 2,
) -> TaughtLandmarks:
    """Mean landmarks of several teachers and of the faces' mirror images.

    Args:
        teachers: what sees landmarks.
        images: ``(H, W, 3)`` uint8 RGB, one for each box.
        boxes: where the faces are, roughly.
        weights: of the teachers; all count alike without.
        passes: how often the faces are cut; from the second time on upright around the landmarks of
            the time before.
    """
    for done in range(passes):
        views = torch.stack([torch.stack(t.both_sides(images, boxes)) for t in teachers])
        views = views - views[..., 2:].mean(-2, keepdim=True) * views.new_tensor([0, 0, 1])
        trust = views.isfinite().all(-1).all(-1).to(views)
        views = views.nan_to_num()
        mean = _mean(views, trust)
        if weights is not None:
            # By the yaw of the plain mean, and then of the mean by those weights.
            for _ in range(2):
                known = trust.sum((0, 1)) > 0
                by_yaw = torch.zeros_like(trust[:, 0])
                by_yaw[:, known] = weights(mean[known])
                mean = _mean(views, trust * by_yaw[:, None])
            trust = trust * by_yaw[:, None]
        if done + 1 < passes:
            boxes = [
                upright_square(points) if np.isfinite(points).all() else box
                for points, box in zip(mean.numpy(), boxes, strict=True)
            ]
    side = square_boxes(mean)[:, 2] / BOX_SCALE
    squares = (views - mean)[..., :2].square().sum(-1)
    share = trust / trust.sum((0, 1))
    deviation = (share[..., None] * squares).sum((0, 1)).sqrt()
    return TaughtLandmarks(mean, 100 * deviation.mean(-1) / side)


def _mean(views: Tensor, trust: Tensor) -> Tensor:
    """Mean ``(N, 68, 3)`` of views ``(T, 2, N, 68, 3)`` by weights ``(T, 2, N)``; NaN where all
    are 0.
    """
    share = trust / trust.sum((0, 1))
    return (share[..., None, None] * views).sum((0, 1))


def label_shards(
    shards: str | Path,
    output: str | Path,
    teachers: Sequence[Teacher],
    *,
    weights: YawWeights | None = None,
    largest_spread: float = 4.0,
    extent: float = 1.0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Write shards of face crops again, with the teachers' landmarks in the .json files.

    Each image keeps its bytes and what its .json says. ``crop_box`` becomes the square of the
    landmarks, ``spread`` is that of :class:`TaughtLandmarks`. ``labels.json`` holds what was asked
    for and the counts; see :func:`pgnface.data.shard_rewriting.rewrite_shards`.

    Args:
        shards: see :class:`pgnface.data.shards.ShardSource`.
        output: folder.
        teachers: what sees landmarks.
        weights: of the teachers; all count alike without.
        largest_spread: a face whose teachers differ by more is left out.
        extent: side of the face's square over the longer side of an image without ``crop_box``.
        advance: told the number of shards done and of all.

    Returns:
        Counts: ``labelled``, ``skipped``.

    Raises:
        FileNotFoundError: when no shard matches.
        UserError: without teachers, for an output among the shards, or one that holds other labels.
        NothingFoundError: when no face could be labelled.
    """
    if not teachers:
        raise UserError("label_shards: teachers must name at least one network")
    if not largest_spread > 0:
        raise UserError(f"largest_spread must be positive, got {largest_spread}")
    asked = {
        "teachers": [teacher.digest for teacher in teachers],
        "weights": None if weights is None else weights.weights.round(3).tolist(),
        "largest_spread": largest_spread,
        "extent": extent,
    }
    teach = partial(teach_landmarks, teachers, weights=weights)
    labelled, skipped = rewrite_shards(
        *(shards, output, partial(_labelled, teach, largest_spread, extent), MANIFEST, asked),
        advance=advance,
    )
    return {"labelled": labelled, "skipped": skipped}


def _labelled(
    teach: Callable[..., TaughtLandmarks],
    largest_spread: float,
    extent: float,
    images: Iterator[ShardImage],
    skipped: dict[str, str],
) -> Iterator[ShardImage]:
    """Images with what the teachers say of them."""
    while chunk := list(islice(images, _BATCH)):
        usable, pixels, boxes = [], [], []
        for image in chunk:
            try:
                decoded = decode_image(image.data, image.name)
                boxes.append(image.box(decoded, extent))
            except UserError as error:
                skipped[image.name] = str(error)
                continue
            usable.append(image)
            pixels.append(decoded)
        if not usable:
            continue
        taught = teach(pixels, boxes)
        for image, points, spread in zip(usable, taught.landmarks, taught.spread, strict=True):
            if not spread.isfinite():
                skipped[image.name] = "no teacher sees a face"
                continue
            if spread > largest_spread:
                skipped[image.name] = f"the teachers differ by {spread:.1f} % of the face"
                continue
            labels = {
                "landmarks": points.double().numpy().round(2).tolist(),
                "jaw_on_contour": False,
                "crop_box": [round(value, 2) for value in square_box(points.numpy())[:3]],
                "spread": round(float(spread), 3),
            }
            yield image._replace(about={**image.about, **labels})


def draw_labels(folder: str | Path, path: str | Path, count: int) -> Path:
    """Draw ``count`` labelled faces, from evenly spread places of the shards, into one picture.

    Args:
        folder: what :func:`label_shards` wrote.
        path: the PNG.
        count: of faces, at most.
    """
    from pgnface.evaluation.plots import Tile, contact_sheet

    total = written_images(Path(folder) / MANIFEST)
    chosen = set(np.linspace(0, total - 1, min(count, total)).astype(int).tolist())
    images = chain.from_iterable(read_shard(shard, {}) for shard in expand_shards(folder))
    tiles = []
    for i, image in enumerate(images):
        if i in chosen:
            points = np.array(image.about["landmarks"])[:, :2]
            pixels = decode_image(image.data, image.name)
            tiles.append(Tile(pixels, points, points[:0], f"{image.about['spread']:.1f} %"))
    return contact_sheet({"Labelled faces and the teachers' spread": tiles}, path)
