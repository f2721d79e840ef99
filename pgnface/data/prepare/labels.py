"""Landmarks that lie beside a photo."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface.data.annotation import read_annotation
from pgnface.data.points import jaw_on_contour, read_points


class Labels(NamedTuple):
    """Landmarks of a photo.

    Attributes:
        points: ``(68, 2|3)`` in its pixels.
        contour: whether the jaw follows the visible contour, so that its points are no places on
            the head.
    """

    points: NDArray[np.float64]
    contour: bool


def read_labels(path: Path) -> Labels | None:
    """Landmarks in a .mat (300W-LP), .pts (300-W) or .t7 (LS3D-W) file beside a photo; ``None``
    without one.

    Raises:
        UserError: when the file is damaged.
    """
    for suffix, read in ((".mat", _read_mat), (".pts", read_points), (".t7", read_points)):
        if (labels := path.with_suffix(suffix)).is_file():
            return Labels(read(labels), jaw_on_contour(labels))
    return None


def _read_mat(path: Path) -> NDArray[np.float64]:
    annotation = read_annotation(path)
    return annotation.landmarks if annotation.has_depth else annotation.landmarks[:, :2]
