"""The built-in face detector: BlazeFace at several scales of a photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.networks.blazeface import load_blazeface

from .cropping import SquareBox
from .face_square import face_square


class Detection(NamedTuple):
    """A face, in pixels of the photo.

    Attributes:
        score: probability that it is one.
        box: ``(4,)`` centre x, y, width and height of the detector's own box.
        keypoints: ``(6, 2)``, in the order of :data:`pgnface.networks.blazeface.KEYPOINTS`.
        trust: how well the size at which the network saw it suits the network, at most 1.
    """

    score: float
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    trust: float = 1.0

    @property
    def square(self) -> SquareBox:
        """Where the square around the face's 68 landmarks lies."""
        return face_square(self.box, self.keypoints)


class BlazeFaceDetector:
    """BlazeFace (Bazarevsky et al. 2019, arXiv 1907.05047) with MediaPipe's public weights.

    The photo is seen at several sizes, its longer side 64, 128, 256, ... pixels: the network knows
    faces of about 20 to 100 pixels, so these ranges overlap widely. Finer sizes are for small
    faces, and are left out when a face is found that is large in the photo (then people far behind
    it may be missed). Where nothing is found the photo is turned by quarters and seen
    again, up to 256 pixels: the network knows faces that are turned by 60 degrees as well as
    upright ones, but fewer that stand on their head. Where nothing is found even then, what is a
    little below the threshold counts.

    Args:
        weights: a .safetensors file in place of the shipped weights.
        device: as for torch; ``"auto"`` is the GPU where there is one.
        threshold: least score of a face. Of the annotated faces that were tried 99 % have more than
            0.7, and 80 % of what is none but above 0.4 has less than 0.6.
        max_size: longer side in pixels of the finest size that is looked at.
    """

    _COARSEST, _TRAINED, _ALWAYS = 64, 128, 256
    # Of the photo's longer side: a box above this is a large face.
    _LARGE = 0.15
    _SAME_FACE = 0.3
    # A box that shares so much of the smaller one's area is a part of a face, or the whole of one.
    _PART = 0.6
    # Of profiles in boxes above 80 pixels the network sees a part: boxes of 40 count most when what
    # several sizes show is blended, those of half or twice that little. Side errors of profiles
    # after the fit of face_square: 8.4 % without this, 7.5 % with it.
    _BEST_SIDE, _OCTAVES = 40.0, 0.4
    # So far below the threshold something counts where there is nothing else.
    _DOUBT = 0.1

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "auto",
        threshold: float = 0.6,
        max_size: int = 1024,
    ) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = load_blazeface(weights).to(device)
        self.threshold = threshold
        self.max_size = max_size

    def __call__(self, image: NDArray[np.uint8]) -> list[SquareBox]:
        """Squares of the faces in an RGB image, the largest first."""
        return self.batch([image])[0]

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> list[list[SquareBox]]:
        """Squares of the faces in each image."""
        return [
            sorted((face.square for face in faces), key=lambda box: -box.side)
            for faces in self.detect(images)
        ]

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """The faces in each ``(H, W, 3)`` uint8 RGB image, the best scored first.

        Images of one size go through the network at once.
        """
        doubtful = self._detect_upright(images, self.threshold - self._DOUBT, self.max_size)
        found = [[face for face in faces if face.score > self.threshold] for faces in doubtful]
        for quarters in (1, 3, 2):
            left = [i for i, faces in enumerate(found) if not faces]
            turned = [np.rot90(images[i], quarters) for i in left]
            faces_turned = self._detect_upright(turned, self.threshold, self._ALWAYS)
            for i, faces in zip(left, faces_turned, strict=True):
                found[i] = [turn_back(face, images[i].shape, quarters) for face in faces]
        return [sure or unsure for sure, unsure in zip(found, doubtful, strict=True)]

    def _detect_upright(
        self, images: Sequence[NDArray[np.uint8]], threshold: float, max_size: int
    ) -> list[list[Detection]]:
        found: list[list[Detection]] = [[] for _ in images]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(i)
        for shape, places in by_shape.items():
            longer = max(shape[:2])
            size, seen = self._COARSEST, places
            candidates: dict[int, list[Detection]] = {i: [] for i in places}
            while seen and size <= max(self._TRAINED, min(longer, max_size)):
                looks = self._look([images[i] for i in seen], size, threshold)
                for i, new in zip(seen, looks, strict=True):
                    candidates[i] += new
                if size >= self._ALWAYS:
                    large = self._LARGE * longer
                    seen = [i for i in seen if all(c.box[2] < large for c in candidates[i])]
                size *= 2
            for i in places:
                merged = merge_overlaps(candidates[i], self._SAME_FACE)
                found[i] = drop_parts(merged, self._PART)
        return found

    @torch.inference_mode()
    def _look(
        self, images: Sequence[NDArray[np.uint8]], size: int, threshold: float
    ) -> list[list[Detection]]:
        """What is above the threshold in images of one shape, their longer side brought to size."""
        height, width = images[0].shape[:2]
        factor = size / max(height, width)
        seen = np.array([max(1, round(width * factor)), max(1, round(height * factor))])
        # Never less than the network was trained on; the rest is black, as it was there.
        canvas = np.maximum(-(-seen // 16) * 16, self._TRAINED)
        corner = (canvas - seen) // 2
        stack = np.zeros((len(images), *canvas[::-1], 3), np.uint8)
        inside = np.s_[corner[1] : corner[1] + seen[1], corner[0] : corner[0] + seen[0]]
        for place, image in zip(stack, images, strict=True):
            interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            place[inside] = cv2.resize(image, seen.tolist(), interpolation=interpolation)
        device = next(self.network.parameters()).device
        batch = torch.from_numpy(stack).to(device).permute(0, 3, 1, 2).float() / 255
        scores, boxes, keypoints = self.network(batch)
        scores = scores.sigmoid()
        octaves = boxes[..., 2].clamp(min=1).div(self._BEST_SIDE).log2() / self._OCTAVES
        trust = torch.exp(-(octaves**2) / 2).clamp(min=1e-3)
        scale = torch.tensor([width, height], device=device) / torch.from_numpy(seen).to(device)
        shift = torch.from_numpy(corner).to(device)
        boxes = torch.cat(((boxes[..., :2] - shift) * scale, boxes[..., 2:] * scale), -1)
        keypoints = (keypoints - shift) * scale
        good = (scores > threshold) & (boxes[..., 2:] > 0).all(-1)
        return [
            _detections(*(part[i][good[i]] for part in (scores, boxes, keypoints, trust)))
            for i in range(len(images))
        ]


def _detections(scores: Tensor, boxes: Tensor, keypoints: Tensor, trust: Tensor) -> list[Detection]:
    arrays = (boxes.float().cpu().numpy(), keypoints.float().cpu().numpy())
    columns = (scores.tolist(), *arrays, trust.tolist())
    return [Detection(*row) for row in zip(*columns, strict=True)]


def merge_overlaps(found: Sequence[Detection], overlap: float) -> list[Detection]:
    """Non-maximum suppression by blending, the best scored first.

    A detection and all that overlap it, by more than ``overlap`` in intersection over union, become
    one with the best score and the mean of their boxes and keypoints weighted by score (section 3.4
    of the BlazeFace paper) and by trust. That trembles less in a video than the best one alone.
    """
    left = sorted(found, key=lambda face: -face.score)
    merged = []
    while left:
        boxes = np.stack([face.box for face in left])
        same = _intersection_over_union(boxes[0], boxes) > overlap
        same[0] = True
        group = [face for face, is_same in zip(left, same, strict=True) if is_same]
        left = [face for face, is_same in zip(left, same, strict=True) if not is_same]
        # A threshold of 0 lets scores of 0 through.
        weights = np.array([max(face.score * face.trust, 1e-9) for face in group], np.float32)
        weights /= weights.sum()
        merged.append(
            Detection(
                group[0].score,
                weights @ np.stack([face.box for face in group]),
                np.tensordot(weights, np.stack([face.keypoints for face in group]), 1),
                max(face.trust for face in group),
            )
        )
    return merged


def drop_parts(found: Sequence[Detection], share: float) -> list[Detection]:
    """Without detections that share more than ``share`` of the smaller one's area with a better
    scored one: an eye or a cheek at a fine size, or two faces taken for one at a coarse one.
    """
    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: -face.score):
        others = np.stack([face.box, *(other.box for other in kept)])[1:]
        smaller = np.minimum(np.prod(face.box[2:]), np.prod(others[:, 2:], 1))
        if (_shared_area(face.box, others) <= share * smaller).all():
            kept.append(face)
    return kept


def _intersection_over_union(box: NDArray, boxes: NDArray) -> NDArray:
    """Of one box ``(4,)`` with each of ``(N, 4)``: centre and size."""
    shared = _shared_area(box, boxes)
    return shared / (np.prod(box[2:]) + np.prod(boxes[:, 2:], 1) - shared)


def _shared_area(box: NDArray, boxes: NDArray) -> NDArray:
    low = np.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    return np.prod(np.maximum(high - low, 0), 1)


def turn_back(face: Detection, shape: tuple[int, ...], quarters: int) -> Detection:
    """A detection in ``np.rot90(image, quarters)``, in the image of ``shape`` (H, W, ...)."""
    points = np.concatenate((face.box[None, :2], face.keypoints))
    for turn in reversed(range(quarters)):
        # The width before this turn.
        width = shape[1 - turn % 2]
        points = np.stack((width - points[:, 1], points[:, 0]), 1)
    size = face.box[2:][:: 1 - 2 * (quarters % 2)]
    return face._replace(box=np.concatenate((points[0], size)), keypoints=points[1:])
