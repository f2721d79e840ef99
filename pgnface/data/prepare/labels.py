"""Landmarks that lie beside a photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface.data.annotation import read_annotation
from pgnface.data.points import read_points


def read_labels(path: Path) -> NDArray[np.float64] | None:
    """Landmarks ``(68, 2|3)`` of a photo in pixels, of a .mat (300W-LP), .pts (300-W) or .t7
    (LS3D-W) file beside it; ``None`` without one.

    Raises:
        UserError: when the file is damaged.
    """
    for suffix, read in ((".mat", _read_mat), (".pts", read_points), (".t7", read_points)):
        if (labels := path.with_suffix(suffix)).is_file():
            return read(labels)
    return None


def _read_mat(path: Path) -> NDArray[np.float64]:
    annotation = read_annotation(path)
    return annotation.landmarks if annotation.has_depth else annotation.landmarks[:, :2]
