"""What the readers of scanned models share: from a file's arrays to a model in our conventions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.morphable.model import PCA_NAME, MorphableModel

CARRIED_OVER = (
    "landmarks carried over from the built-in model by registration; those of the jaw may lie a "
    "centimetre from where the model's own would"
)


def assemble(
    mean: NDArray,
    identity_basis: NDArray,
    expression_basis: NDArray,
    triangles: NDArray,
    landmarks: NDArray | None,
    *,
    name: str,
    license: str,
    pca_expressions: bool = True,
    notes: Sequence[str] = (),
) -> MorphableModel:
    """A model of arrays in our axes and millimetres.

    Triangles that repeat a vertex are left out, the others turned counter-clockwise as seen from
    outside; vertices in no triangle stay, so that a file's vertex ids keep their meaning. Texture
    coordinates are computed.

    Args:
        mean: ``(V, 3)`` mm.
        identity_basis: ``(I, V, 3)`` mm per standard deviation.
        expression_basis: ``(E, V, 3)`` mm at coefficient 1.
        triangles: ``(T, 3)`` zero-based ids, all turned the same way.
        landmarks: ``(68,)`` zero-based ids; carried over from the built-in model when None, by
            registration, which takes seconds.
        pca_expressions: whether the expressions are principal components, which are named so.

    Raises:
        ValueError: when the built-in model cannot be laid on the mean, and as
            :class:`MorphableModel`.
    """
    from pgnface.morphable.unwrap import unwrap

    names = [f"{PCA_NAME}{i}" for i in range(len(expression_basis))]
    whole = (triangles != np.roll(triangles, 1, axis=1)).all(1)
    if not whole.all():
        notes = [*notes, f"{(~whole).sum()} triangles that repeat a vertex are left out"]
    triangles = outward(mean, triangles[whole])
    if landmarks is None:
        from pgnface.morphable.transfer import landmarks_by_transfer

        landmarks = landmarks_by_transfer(mean, triangles)
        notes = [*notes, CARRIED_OVER]
    tensors = [
        torch.from_numpy(np.ascontiguousarray(array, np.float32))
        for array in (mean, identity_basis, expression_basis)
    ]
    return MorphableModel(
        *tensors,
        torch.from_numpy(triangles),
        torch.from_numpy(unwrap(mean, triangles)),
        torch.from_numpy(np.asarray(landmarks)),
        name=name,
        license=license,
        expression_names=names if pca_expressions else None,
        notes=notes,
    )


def outward(points: NDArray, triangles: NDArray) -> NDArray[np.int64]:
    """Triangles ``(T, 3)`` counter-clockwise as seen from outside: all as they are, or all turned.

    The sign of the volume that they enclose decides; an open face is closed by a point behind it.

    Raises:
        ValueError: for ids out of range.
    """
    last = len(points) - 1
    if triangles.size and not 0 <= triangles.min() <= triangles.max() <= last:
        raise ValueError(
            f"triangles: expected ids from 0 to {last}, got {triangles.min()} to {triangles.max()}"
        )
    behind = np.append(points[:, :2].mean(0), points[:, 2].min())
    a, b, c = (points[triangles] - behind).astype(np.float64).transpose(1, 0, 2)
    inside_out = (a * np.cross(b, c)).sum() < 0
    return np.ascontiguousarray(triangles[:, ::-1] if inside_out else triangles, np.int64)


def points_of(array: ArrayLike, key: str) -> NDArray[np.float32]:
    """Points ``(V, 3)`` of an array that holds x, y, z of one vertex after another."""
    flat = np.asarray(array, np.float32).ravel()
    if not flat.size or flat.size % 3:
        raise ValueError(f"{key}: expected three numbers for each vertex, got {flat.size} numbers")
    return flat.reshape(-1, 3)


def modes_of(
    columns: ArrayLike, key: str, vertices: int, deviations: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Modes ``(K, V, 3)`` of a matrix ``(3V, K)``, each times its standard deviation.

    Args:
        deviations: K or more numbers (those of the modes that the file leaves out follow).
    """
    columns = np.asarray(columns, np.float32)
    if columns.ndim != 2 or len(columns) != 3 * vertices:
        raise ValueError(
            f"{key}: expected shape ({3 * vertices}, *), three rows for each of the {vertices} "
            f"vertices, got {columns.shape}"
        )
    count = columns.shape[1]
    if deviations is not None:
        deviations = np.asarray(deviations, np.float32).ravel()
        if len(deviations) < count:
            raise ValueError(
                f"{key}: expected a standard deviation for each of {count} modes, "
                f"got {len(deviations)}"
            )
        columns = columns * deviations[:count]
    return np.ascontiguousarray(columns.T).reshape(count, vertices, 3)


def ids_of(array: ArrayLike, key: str, *, first: int = 0) -> NDArray[np.int64]:
    """Zero-based ids of an array of whole numbers (MATLAB's are often floating-point).

    Args:
        first: the file's name for vertex 0: 1 in files written by MATLAB.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "iuf" or (array != np.round(array)).any():
        raise ValueError(f"{key}: expected whole numbers, got an array of type {array.dtype}")
    return array.astype(np.int64) - first


def triangles_of(array: ArrayLike, key: str, *, first: int = 0) -> NDArray[np.int64]:
    """Zero-based triangles ``(T, 3)`` of an array of that shape or its transpose."""
    ids = ids_of(array, key, first=first)
    if ids.ndim != 2 or 3 not in ids.shape:
        raise ValueError(f"{key}: expected shape (T, 3) or (3, T), got {ids.shape}")
    return ids if ids.shape[1] == 3 else ids.T


def landmarks_of(array: ArrayLike, key: str, *, first: int = 0) -> NDArray[np.int64]:
    """The 68 landmarks' vertex ids; also of 204 places of their x, y, z in the flat vertices."""
    ids = ids_of(array, key, first=first).ravel()
    if ids.size == 3 * LANDMARK_COUNT:
        ids = ids[::3] // 3
    if ids.size != LANDMARK_COUNT:
        raise ValueError(
            f"{key}: expected {LANDMARK_COUNT} vertex ids or {3 * LANDMARK_COUNT} places in the "
            f"flat vertices, got {ids.size}"
        )
    return ids


def beside(path: Path, *names: str) -> Path | None:
    """The first of some files that lies in the folder of another."""
    folder = path if path.is_dir() else path.parent
    return next((folder / name for name in names if (folder / name).is_file()), None)


def crop(triangles: NDArray, kept: NDArray, vertices: int) -> NDArray[np.int64]:
    """The triangles whose corners are all in ``kept``, as ids into it."""
    place = np.full(vertices, -1)
    place[kept] = np.arange(len(kept))
    placed = place[triangles]
    return placed[(placed >= 0).all(1)]
