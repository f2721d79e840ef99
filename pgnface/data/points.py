"""Files of landmarks: .pts of 300-W and its like, .t7 of LS3D-W.

300-W (Sagonas et al., ICCVW 2013) was annotated in Matlab: the centre of its first pixel is at 1,
and at 0.5 here. LS3D-W (Bulat and Tzimiropoulos, ICCV 2017) counts pixel centres from 0, as its
points on AFLW2000-3D do when measured against the original ones.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

LANDMARK_COUNT = 68

JAW = range(17)
"""Landmarks of the jaw, which lie on the visible contour where faces were annotated in 2D."""


def jaw_on_contour(path: Path) -> bool:
    """Whether a file's kind has the jaw on the visible contour rather than on the head: .pts of
    300-W does, .t7 of LS3D-W does not.
    """
    return path.suffix.lower() == ".pts"


class PointsError(UserError):
    """A file that does not hold the landmarks of a face."""


def read_points(path: str | Path) -> NDArray[np.float64]:
    """Landmarks ``(68, 2|3)`` in pixels, the image's corner at (0, 0), of a .pts or .t7 file.

    Raises:
        PointsError: naming the file, when it is missing, damaged or holds something else.
    """
    path = Path(path)
    if path.suffix.lower() == ".pts":
        points = read_pts(path) - 0.5
    else:
        points = read_t7(path)
        points[:, :2] += 0.5
    if points.shape not in ((LANDMARK_COUNT, 2), (LANDMARK_COUNT, 3)):
        raise PointsError(f"{path}: expected 68 points in 2D or 3D, got {points.shape}")
    if not np.isfinite(points).all() or not np.ptp(points[:, :2], 0).max() > 0:
        raise PointsError(f"{path}: expected finite points that span an area")
    return points


def read_pts(path: str | Path) -> NDArray[np.float64]:
    """The numbers of a .pts file as they stand, ``(K, 2)``::

        version: 1
        n_points: 68
        {
        446.000 91.000
        ...
        }

    Raises:
        PointsError: naming the file, when it is missing or something else.
    """
    head, brace, body = _read(path).decode(errors="replace").partition("{")
    rows, end, _ = body.partition("}")
    if not (brace and end):
        raise PointsError(f"{path}: expected points between braces")
    try:
        points = np.array([line.split() for line in rows.splitlines() if line.strip()], float)
        fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
        count = int(fields.get("n_points", len(points)))
    except ValueError as error:
        raise PointsError(f"{path}: expected a pair of numbers a line ({error})") from None
    if points.ndim != 2 or points.shape != (count, 2):
        raise PointsError(f"{path}: expected {count} points in 2D, got {points.shape}")
    return points


_TORCH_OBJECT = 4
_TENSORS = {b"torch.DoubleTensor": "<f8", b"torch.FloatTensor": "<f4"}


def read_t7(path: str | Path) -> NDArray[np.float64]:
    """The tensor of floats or doubles in a file of Torch 7, in its binary format with 64-bit sizes.

    Raises:
        PointsError: naming the file, when it is missing or holds something else.
    """
    data, place = _read(path), 0

    def take(layout: str) -> tuple:
        nonlocal place
        values = struct.unpack_from("<" + layout, data, place)
        place += struct.calcsize("<" + layout)
        return values

    def take_class() -> bytes:
        kind, _ = take("ii")
        if kind != _TORCH_OBJECT:
            raise ValueError(f"an object of kind {kind}")
        name = take(f"{take('i')[0]}s")[0]
        # Files since 2014 give a version before the class.
        return take(f"{take('i')[0]}s")[0] if name.startswith(b"V ") else name

    try:
        name = take_class()
        number = _TENSORS[name]
        dimensions = take("i")[0]
        shape, strides = take(f"{dimensions}q"), take(f"{dimensions}q")
        offset = take("q")[0] - 1
        take_class()
        values = np.frombuffer(data, number, take("q")[0], place)
        if not 0 < math.prod(shape) <= values.size:
            raise ValueError(f"{values.size} numbers for a tensor of shape {shape}")
        places = offset + sum(np.indices(shape) * np.reshape(strides, (-1,) + (1,) * dimensions))
        if places.min() < 0:
            raise ValueError(f"strides {strides}")
        return values[places].astype(np.float64)
    except (struct.error, KeyError, ValueError, IndexError, TypeError, MemoryError) as error:
        raise PointsError(f"{path}: is no tensor of Torch 7 ({error})") from None


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PointsError(f"{path}: cannot be read ({error.strerror})") from error
