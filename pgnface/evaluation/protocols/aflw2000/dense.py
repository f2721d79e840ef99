"""True vertices of AFLW2000-3D, from the user's copy of the face model that it was annotated with.

The files hold raw coefficients of the Basel Face Model as 3DDFA prepared it: with the mean ``m``,
199 shape modes ``W`` and 29 expression modes ``E``, all in micrometres, the face is ``m + W
Shape_Para + E Exp_Para``, and the pose is that of :class:`pgnface.data.annotation.Annotation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.data.annotation import Annotation, AnnotationError
from pgnface.geometry import apply_pose


@dataclass(frozen=True)
class DenseBasis:
    """A linear face model in micrometres, for raw coefficients.

    Attributes:
        mean: ``(V, 3)``.
        shape: ``(V, 3, S)``.
        expression: ``(V, 3, E)``.
    """

    mean: NDArray[np.float32]
    shape: NDArray[np.float32]
    expression: NDArray[np.float32]

    def vertices(self, annotation: Annotation, height: int) -> NDArray[np.float64]:
        """True vertices ``(V, 3)`` in image space.

        Args:
            annotation: with its coefficients.
            height: pixels of the image, in which the file's y counts from below.

        Raises:
            AnnotationError: when its coefficients are missing or of another number.
        """
        parts = {"Shape_Para": annotation.shape, "Exp_Para": annotation.expression}
        modes = (self.shape, self.expression)
        face = self.mean.astype(np.float64)
        for (key, value), basis in zip(parts.items(), modes, strict=True):
            count = basis.shape[2]
            if value is None or len(value) != count:
                found = "none" if value is None else len(value)
                raise AnnotationError(f"expected {count} numbers in {key}, got {found}")
            face = face + basis @ value
        pose = annotation.pose(height)
        return apply_pose(pose, torch.from_numpy(face / 1e3)).numpy()


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
