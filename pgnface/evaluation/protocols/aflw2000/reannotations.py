"""Further 2D annotations of AFLW2000-3D."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgnface._errors import UserError

# Re-annotated points (LS3D-W) count pixel centres from 0; ours lie at +0.5. Of all shifts this one
# brings them nearest to the data set's own annotation, too.
_REANNOTATION_SHIFT = 0.5


def read_reannotations(path: str | Path) -> dict[str, Tensor]:
    """Further 2D annotations: stem of the file name to ``(68, 2)`` points in image space.

    Raises:
        UserError: for a file of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names, points = data["names"], data["reannotated68"]
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path} must be an .npz with names (N,) and reannotated68 (N, 2, 68): {error}"
        ) from error
    if points.shape != (len(names), 2, 68):
        raise UserError(
            f"{path}: reannotated68 must have shape ({len(names)}, 2, 68), got {points.shape}"
        )
    points = torch.from_numpy(points).float().transpose(1, 2) + _REANNOTATION_SHIFT
    return {str(name): value for name, value in zip(names, points, strict=True)}
