"""Faces of photos from an exported ONNX file, by numpy and ONNX Runtime alone.

Nothing else of the package is imported, so that this file can be copied to where torch is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

_POINTS = ("landmarks", "annotated_landmarks", "vertices", "translation")


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
            passes: 2 cuts the crops anew around the landmarks of the first pass, which makes the
                result depend less on the boxes.

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
        for _ in range(passes):
            corners = np.stack([self._square(box) for box in boxes])
            crops = np.stack([cut_square(photo, *corner, self.size) for corner in corners])
            outputs = self._in_photo(self.predict(crops), corners)
            points = outputs["annotated_landmarks"][..., :2]
            boxes = np.concatenate((points.min(1), points.max(1)), 1)
        return outputs

    def _square(self, box: NDArray) -> tuple[float, float, float]:
        """Left, top and side of the square that the network is to see."""
        side = (box[2:] - box[:2]).max() * float(self.description["crop_scale"])
        left, top = (box[:2] + box[2:] - side) / 2
        return left, top, side

    def _in_photo(self, outputs: Mapping[str, NDArray], corners: NDArray) -> dict[str, NDArray]:
        """Outputs for crops whose squares are ``(N, 3)``, in pixels of the photo."""
        scale = (corners[:, 2] / self.size).astype(np.float32)
        shift = (corners * (1, 1, 0)).astype(np.float32)

        def placed(name: str, value: NDArray) -> NDArray:
            axes = (len(scale),) + (1,) * (value.ndim - 1)
            if name == "scale":
                return value * scale
            if name in _POINTS:
                return value * scale.reshape(axes) + shift.reshape(-1, *axes[2:], 3)
            if name == "position_map":
                return value * scale.reshape(axes) + shift[:, :, None, None]
            return value

        return {name: placed(name, value) for name, value in outputs.items()}


def cut_square(
    photo: NDArray[np.uint8], left: float, top: float, side: float, size: int
) -> NDArray[np.float32]:
    """A square of a photo as ``(3, size, size)`` in [0, 1], as ``pgnface.data.cropping.crop`` does.

    Bilinear, after averaging blocks of pixels where the crop has fewer than the square; beyond the
    photo its border continues.
    """
    rows, row_weights = _axis_taps(top, side, size, photo.shape[0])
    columns, column_weights = _axis_taps(left, side, size, photo.shape[1])
    first, end = columns.min(), columns.max() + 1
    band = np.einsum("stwc,st->swc", photo[rows, first:end].astype(np.float32), row_weights)
    face = np.einsum("sutc,ut->csu", band[:, columns - first], column_weights)
    return face / np.float32(255)


def _axis_taps(
    start: float, side: float, size: int, length: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which pixels of an axis make up each of the crop's, ``(size, taps)``, and their weights."""
    step = side / size
    block = max(int(step + 1e-6), 1)
    first = int(np.clip(np.floor(start) - block, 0, length - 1))
    end = int(np.clip(np.ceil(start + side) + block, first + 1, length))
    place = (start + step * (np.arange(size) + 0.5) - first) / block - 0.5
    lower = np.floor(place).astype(np.int64)
    blocks = np.clip(lower[:, None] + (0, 1), 0, -(-(end - first) // block) - 1)
    pixels = np.minimum(first + blocks[..., None] * block + np.arange(block), end - 1)
    shares = np.stack((lower + 1 - place, place - lower), 1) / block
    weights = np.repeat(shares, block, 1).astype(np.float32)
    return pixels.reshape(size, -1), weights


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
