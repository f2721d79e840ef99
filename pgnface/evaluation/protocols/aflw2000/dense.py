"""True vertices of AFLW2000-3D, from the user's copy of the face model that it was annotated with.

The files hold raw coefficients of the Basel Face Model as 3DDFA prepared it: with the mean ``m``,
199 shape modes ``W`` and 29 expression modes ``E`` in micrometres, ``S = m + W Shape_Para + E
Exp_Para``, and with the pose ``f R S + t``; x counts pixels from 1, y from below, z to the viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.data.aflw2000 import AnnotationError
from pgnface.geometry import rotation_from_angles

_KEYS = ("Shape_Para", "Exp_Para", "Pose_Para")


@dataclass(frozen=True)
class DenseBasis:
    """A linear face model in the unit of its coefficients.

    Attributes:
        mean: ``(V, 3)``.
        shape: ``(V, 3, S)``.
        expression: ``(V, 3, E)``.
    """

    mean: NDArray[np.float32]
    shape: NDArray[np.float32]
    expression: NDArray[np.float32]

    def vertices(self, content: Mapping[str, NDArray], height: int) -> NDArray[np.float64]:
        """True vertices ``(V, 3)`` in image space.

        Args:
            content: entries of a .mat file.
            height: pixels of the image, in which the file's y counts from below.

        Raises:
            AnnotationError: for missing or misfitting entries.
        """
        sizes = (self.shape.shape[2], self.expression.shape[2], 7)
        values = []
        for key, size in zip(_KEYS, sizes, strict=True):
            value = np.asarray(content.get(key, ()), np.float64).ravel()
            if value.size != size or not np.isfinite(value).all():
                raise AnnotationError(f"expected {size} finite numbers in {key}, got {value.size}")
            values.append(value)
        identity, expression, pose = values
        face = self.mean + self.shape @ identity + self.expression @ expression
        rotation = rotation_from_angles(torch.from_numpy(np.rad2deg(pose[:3]))).numpy()
        x, y, z = (pose[6] * face @ rotation.T + pose[3:6]).T
        # The first pixel's centre is 1 in the files and 0.5 here.
        return np.stack((x - 0.5, height + 1 - y - 0.5, -z), -1)


def read_dense_basis(path: str | Path) -> DenseBasis:
    """3DDFA's model: ``Model_Shape.mat`` with ``Model_Exp.mat`` beside it, or a folder of
    ``u_shp.npy``, ``u_exp.npy``, ``w_shp.npy`` and ``w_exp.npy``.

    Raises:
        UserError: naming the file, when one is missing or they do not fit together.
    """
    path = Path(path)
    if path.is_dir():
        mean, mean_exp, shape, expression = (
            _read_npy(path / f"{name}.npy") for name in ("u_shp", "u_exp", "w_shp", "w_exp")
        )
    else:
        mean, shape = _read_mat(path, ("mu_shape", "w"))
        mean_exp, expression = _read_mat(path.parent / "Model_Exp.mat", ("mu_exp", "w_exp"))
    mean, mean_exp = np.ravel(mean), np.ravel(mean_exp)
    rows = mean.size
    if not rows or rows % 3 or not rows == mean_exp.size == len(shape) == len(expression):
        raise UserError(
            f"{path}: expected means of 3 V numbers and modes (3 V, P), got {mean.size}, "
            f"{mean_exp.size}, {shape.shape} and {expression.shape}"
        )
    return DenseBasis(
        (mean + mean_exp).reshape(-1, 3).astype(np.float32),
        shape.reshape(rows // 3, 3, -1).astype(np.float32),
        expression.reshape(rows // 3, 3, -1).astype(np.float32),
    )


def _read_npy(path: Path) -> NDArray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: expected an array ({error})") from error


def _read_mat(path: Path, keys: tuple[str, ...]) -> list[NDArray]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, appendmat=False)
        return [content[key] for key in keys]
    except Exception as error:  # scipy raises many kinds for files that are not what they say
        raise UserError(f"{path}: expected a .mat file with {', '.join(keys)} ({error})") from error
