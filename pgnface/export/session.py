"""Faces of photos from an exported ONNX file, by numpy and ONNX Runtime alone.

Nothing else of the package is imported, so that this file can be copied to where torch is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

_POINTS = ("landmarks", "annotated_landmarks", "vertices", "translation")
_EYES, _MOUTH = slice(36, 48), slice(48, 68)
_FLIP = np.diag([1.0, -1.0, -1.0])


class Square(NamedTuple):
    """A part of a photo: its centre, side, and turn in radians (:func:`square_warp`)."""

    x: float
    y: float
    side: float
    angle: float = 0.0


class FaceSession:
    """A network in an ONNX file.

    Args:
        path: written by ``pgnface export onnx``.
        threads: of the CPU; 0 for all.
        providers: what ONNX Runtime runs it on.

    Attributes:
        description: the file's metadata: the face model, the meaning of points and pose.
        size: side of the crops in pixels.

    Raises:
        ValueError: for a file that holds no network of pgnface.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
        metadata = self._session.get_modelmeta().custom_metadata_map
        if "crop_scale" not in metadata:
            raise ValueError(f"{path} holds no network of pgnface: its metadata lack crop_scale")
        self.description = {key: _parsed(text) for key, text in metadata.items()}
        self.size = int(self.description["image_size"])
        self._names = [output.name for output in self._session.get_outputs()]

    def predict(self, crops: NDArray[np.float32]) -> dict[str, NDArray]:
        """All outputs for crops ``(N, 3, size, size)``, RGB in [0, 1], in pixels of the crops."""
        values = self._session.run(self._names, {"image": crops})
        return dict(zip(self._names, values, strict=True))

    def __call__(
        self, photo: NDArray[np.uint8], boxes: ArrayLike, passes: int = 1
    ) -> dict[str, NDArray]:
        """The faces in some boxes of a photo, in the photo's pixels.

        Args:
            photo: ``(H, W, 3)`` uint8 RGB.
            boxes: ``(N, 4)`` edges x0, y0, x1, y1 of the faces (brows to chin, ear to ear).
            passes: 2 cuts the crops anew, upright around the landmarks of the first pass, which
                makes the result depend less on the boxes and on the head's roll.

        Returns:
            The outputs of the file by name, each ``(N, ...)`` but ``triangles``.

        Raises:
            ValueError: for another shape or type, or a box without area.
        """
        photo, boxes = np.asarray(photo), np.asarray(boxes, dtype=np.float64)
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise ValueError(f"photo must be (H, W, 3) uint8, got {photo.dtype} {photo.shape}")
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not (boxes[:, 2:] > boxes[:, :2]).all():
            raise ValueError(f"boxes must be (N, 4) with x0 < x1 and y0 < y1, got {boxes.tolist()}")
        squares = [self._square(box) for box in boxes]
        for _ in range(passes):
            warps = np.stack([square_warp(square, self.size) for square in squares])
            crops = np.stack([cut(photo, warp, self.size) for warp in warps])
            outputs = self._in_photo(self.predict(crops), warps)
            squares = [self._upright(points) for points in outputs["annotated_landmarks"]]
        return outputs

    def _square(self, box: NDArray, angle: float = 0.0) -> Square:
        """What the network is to see of a face in a box (x0, y0, x1, y1)."""
        x, y = (box[:2] + box[2:]) / 2
        return Square(x, y, (box[2:] - box[:2]).max() * self.description["crop_scale"], angle)

    def _upright(self, landmarks: NDArray) -> Square:
        """The square about 68 landmarks in which the eyes are above the mouth."""
        points = landmarks[:, :2].astype(np.float64)
        x, y = points[_MOUTH].mean(0) - points[_EYES].mean(0)
        box = np.concatenate((points.min(0), points.max(0)))
        return self._square(box, np.arctan2(-x, y))

    def _in_photo(self, outputs: Mapping[str, NDArray], warps: NDArray) -> dict[str, NDArray]:
        """Outputs for crops whose warps are ``(N, 2, 3)``, in pixels of the photo."""
        scale = np.sqrt(np.linalg.det(warps[:, :, :2]))
        spatial, shift = np.zeros((2, len(warps), 3, 3))
        spatial[:, :2, :2], spatial[:, 2, 2] = warps[:, :, :2], scale
        shift = np.pad(warps[:, :, 2], ((0, 0), (0, 1)))

        def placed(name: str, value: NDArray) -> NDArray:
            if name == "scale":
                return value * scale
            if name == "rotation":
                return _FLIP @ spatial @ _FLIP @ value / scale[:, None, None]
            if name in _POINTS:
                points = value.reshape(len(value), -1, 3) @ spatial.swapaxes(1, 2)
                return (points + shift[:, None]).reshape(value.shape)
            if name == "position_map":
                points = np.einsum("nij,njhw->nihw", spatial, value)
                return points + shift[:, :, None, None]
            return value

        return {name: placed(name, v).astype(v.dtype) for name, v in outputs.items()}


def square_warp(square: Square, size: int) -> NDArray[np.float64]:
    """The affine ``(2, 3)`` from pixels of a crop to the photo's."""
    scale = square.side / size
    cos, sin = scale * np.cos(square.angle), scale * np.sin(square.angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack((linear, (square.x, square.y) - linear @ (size / 2, size / 2)))


def cut(photo: NDArray[np.uint8], warp: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """What a warp ``(2, 3)`` sees of a photo, ``(3, size, size)`` in [0, 1], as
    ``pgnface.data.cropping.warp_image`` does.

    Bilinear, after averaging blocks of pixels where the crop has fewer than the square; beyond the
    photo its border continues.
    """
    block = max(int(np.sqrt(np.linalg.det(warp[:, :2])) + 1e-6), 1)
    ends = warp[:, :2] @ np.array([[0, size, 0, size], [0, 0, size, size]]) + warp[:, 2:]
    limit = np.array(photo.shape[1::-1])
    low = np.clip(np.floor(ends.min(1)) - block, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(ends.max(1)) + block, low + 1, limit).astype(int)
    region = _averaged(photo[low[1] : high[1], low[0] : high[0]].astype(np.float32), block)
    grid = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2))
    place = np.tensordot(warp[:, :2], grid, 1) + (warp[:, 2] - low)[:, None, None]
    place = place / block - 0.5
    first = np.floor(place).astype(int)
    across, down = (place - first).astype(np.float32)[..., None]
    last = np.array(region.shape[1::-1])[:, None, None] - 1
    (left, top), (right, bottom) = np.clip(first, 0, last), np.clip(first + 1, 0, last)
    upper, lower = (
        region[row, left] * (1 - across) + region[row, right] * across for row in (top, bottom)
    )
    face = upper * (1 - down) + lower * down
    return np.moveaxis(face, -1, 0) / np.float32(255)


def _averaged(region: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Means of blocks of pixels; beyond the region its border continues."""
    if block == 1:
        return region
    more = [(0, -n % block) for n in region.shape[:2]]
    rows, columns, channels = (padded := np.pad(region, (*more, (0, 0)), mode="edge")).shape
    blocks = padded.reshape(rows // block, block, columns // block, block, channels)
    return blocks.mean((1, 3))


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
