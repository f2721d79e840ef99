"""Reader of the Surrey Face Model as eos writes it, ``sfm_shape_3448.bin`` (Huber et al., A
Multiresolution 3D Morphable Face Model and Fitting Framework, VISAPP 2016).

A binary archive of cereal, little-endian, of class version 1: mean and orthonormal modes (Eigen
matrices, column-major), variances, triangles; a colour model, often empty; texture coordinates, v
down. Millimetres, our axes. Beside it lie ``expression_blendshapes_*.bin``, full at coefficient 1,
and ``ibug_to_sfm.txt``, the landmarks but for those of the jaw and the inner corners of the mouth.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.morphable.model import MorphableModel

from .assemble import CARRIED_OVER, beside, modes_of, outward, points_of
from .npz import integer_tensor

FORMAT = "Surrey Face Model (eos)"
LANDMARKS = "ibug_to_sfm.txt"
_VERSION = 1
# eos's contour of a frontal face, sfm_model_contours.json, from the temples to beside the chin; the
# same ids in every resolution of the model.
_RIGHT = (380, 373, 356, 358, 359, 360, 365, 363, 364, 388, 391, 392, 393, 11, 21, 25, 22)
_LEFT = (795, 790, 773, 775, 776, 777, 782, 780, 781, 802, 805, 806, 807, 454, 464, 466, 465)
_CHIN, _RIGHT_EYE, _LEFT_EYE = 8, 36, 45
_INNER_CORNERS = {60: 48, 64: 54}


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether a file is of this format: by its first numbers."""
    if path.suffix.lower() != ".bin" or not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(12)
    if len(start) < 12:
        return False
    version, rows, columns = struct.unpack("<Iii", start)
    return version < 16 and rows > 0 and rows % 3 == 0 and columns == 1


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file and the files beside it describe.

    Jaw points are contour vertices at equal distances along the contour, from the height of the
    outer corner of the eye to the chin. The mesh has one vertex at each corner of the mouth, so the
    inner corners are the outer ones.

    Raises:
        ValueError: for a damaged file, another version, and arrays that do not fit together.
    """
    archive = _Archive(path)
    version = archive.number("I")
    if version != _VERSION:
        raise ValueError(f"expected eos's class version {_VERSION}, got {version}")
    mean = points_of(archive.matrix(), "mean")
    modes = archive.matrix()
    variances = archive.matrix()
    if (variances < 0).any():
        raise ValueError("eigenvalues: expected no negative variance")
    identity = modes_of(modes, "modes", len(mean), np.sqrt(variances))
    triangles = outward(mean, archive.items("<i4", 3))
    for _ in range(3):  # the colour model's mean, modes and variances
        archive.matrix()
    archive.items("<i4", 3)
    uv = archive.items("<f8", 2)
    archive.finish()
    notes = []
    expressions = next(iter(sorted(path.parent.glob("expression_blendshapes_*.bin"))), None)
    names, shapes = [], np.zeros((0, *mean.shape), np.float32)
    if expressions is None:
        notes.append("no expressions: expression_blendshapes_*.bin does not lie beside the file")
    else:
        names, shapes = _blendshapes(expressions, mean.shape)
        notes.append(f"expressions from {expressions.name}")
    if landmarks is None:
        landmarks, note = _landmarks(path, mean, triangles)
        notes.append(note)
    if uv.shape != (len(mean), 2):
        from pgnface.morphable.unwrap import unwrap

        uv = unwrap(mean, triangles)
        notes.append("texture coordinates computed")
    return MorphableModel(
        torch.from_numpy(mean),
        torch.from_numpy(identity),
        torch.from_numpy(shapes),
        torch.from_numpy(triangles),
        torch.from_numpy(np.asarray(uv, np.float32)),
        integer_tensor(landmarks),
        name=path.stem,
        expression_names=names,
        license="Surrey Face Model, (c) University of Surrey: non-commercial use only",
        notes=notes,
    )


def _landmarks(path: Path, mean: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, str]:
    """The landmarks that the file beside gives, with the jaw's and inner corners' in addition, or
    else those carried over; and a note.
    """
    file = beside(path, LANDMARKS)
    if file is None:
        from pgnface.morphable.transfer import landmarks_by_transfer

        return landmarks_by_transfer(mean, triangles), CARRIED_OVER
    ids = np.full(LANDMARK_COUNT, -1)
    for line in file.read_text().splitlines():
        found = re.match(r"\s*(\d+)\s*=\s*(\d+)", line)
        if found and 1 <= int(found[1]) <= LANDMARK_COUNT:
            ids[int(found[1]) - 1] = int(found[2])
    for inner, outer in _INNER_CORNERS.items():
        ids[inner] = ids[outer] if ids[inner] < 0 else ids[inner]
    missing = np.flatnonzero(ids[_CHIN:] < 0) + _CHIN + 1
    missing = missing[(missing <= _CHIN + 1) | (missing > 17)]
    if len(missing):
        raise ValueError(f"{LANDMARKS}: no vertex for point {', '.join(map(str, missing))}")
    if ids.max() >= len(mean) or max(_RIGHT + _LEFT) >= len(mean):
        raise ValueError(f"{LANDMARKS}: ids beyond the {len(mean)} vertices of the file")
    jaws = ((_RIGHT, _RIGHT_EYE, range(8)), (_LEFT, _LEFT_EYE, range(16, 8, -1)))
    for contour, eye, points in jaws:
        height = mean[list(contour), 1]
        start = int(np.abs(height - mean[ids[eye], 1]).argmin())
        line = np.array([*contour[start:], ids[_CHIN]])
        steps = np.linalg.norm(np.diff(mean[line], axis=0), axis=1)
        along = np.concatenate(([0], np.cumsum(steps)))
        wanted = np.linspace(0, along[-1], 9)[:8]
        ids[list(points)] = line[np.abs(along - wanted[:, None]).argmin(1)]
    return ids, f"landmarks of {LANDMARKS}, those of the jaw from eos's frontal contour"


def _blendshapes(path: Path, shape: tuple[int, ...]) -> tuple[list[str], np.ndarray]:
    """Names, and displacements ``(E, V, 3)``."""
    try:
        archive = _Archive(path)
        names, shapes = [], []
        for _ in range(archive.number("Q")):
            names.append(archive.text())
            shapes.append(points_of(archive.matrix(), names[-1]))
            if shapes[-1].shape != shape:
                raise ValueError(
                    f"{names[-1]}: expected {shape[0]} vertices as in the mean, "
                    f"got {len(shapes[-1])}"
                )
        archive.finish()
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return names, np.stack(shapes) if shapes else np.zeros((0, *shape), np.float32)


class _Archive:
    """What cereal's binary archives consist of, read one after another."""

    def __init__(self, path: Path):
        self._bytes = path.read_bytes()
        self._at = 0

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._bytes) - self._at:
            left = len(self._bytes) - self._at
            raise ValueError(
                f"damaged archive: {size} bytes wanted at byte {self._at}, {left} left"
            )
        self._at += size
        return self._bytes[self._at - size : self._at]

    def number(self, code: str) -> int:
        return struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        return self._take(self.number("Q")).decode("utf-8", "replace")

    def matrix(self) -> np.ndarray:
        """An Eigen matrix of floats: rows, columns, numbers column by column."""
        rows, columns = self.number("i"), self.number("i")
        if rows < 0 or columns < 0:
            raise ValueError(f"damaged archive: a matrix of {rows} x {columns}")
        numbers = np.frombuffer(self._take(4 * rows * columns), "<f4")
        return numbers.reshape(columns, rows).T.copy()

    def items(self, kind: str, width: int) -> np.ndarray:
        """A vector of arrays ``(count, width)``."""
        count = self.number("Q")
        data = self._take(count * width * np.dtype(kind).itemsize)
        return np.frombuffer(data, kind).reshape(count, width)

    def finish(self) -> None:
        left = len(self._bytes) - self._at
        if left:
            raise ValueError(f"damaged archive: {left} bytes more than its parts take")
