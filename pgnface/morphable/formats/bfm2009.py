"""Reader of the Basel Face Model 2009, ``01_MorphableModel.mat`` (Paysan et al., A 3D Face Model
for Pose and Illumination Invariant Face Recognition, AVSS 2009), and of face3d's ``BFM.mat``.

Micrometres, our axes; unit-length modes and standard deviations; vertex ids count from 1. The model
has no expressions and no landmarks: they come from the files that are published beside it.
Expressions are given for the part of the vertices that ``trimIndex`` lists, to which the model is
then cropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pgnface.morphable.model import MorphableModel

from .assemble import (
    assemble,
    beside,
    crop,
    ids_of,
    landmarks_of,
    modes_of,
    points_of,
    triangles_of,
)
from .contents import read_beside, require_keys

FORMAT = "Basel Face Model 2009"
REQUIRED = ("shapeMU", "shapePC", "shapeEV")
MM_PER_UM = 1e-3
_INFO = ("model_info.mat", "BFM_info.mat")
_TRIM = ("BFM_exp_idx.mat", *_INFO)
_LICENSE = (
    "Basel Face Model 2009, (c) University of Basel: non-commercial research only, as the licence "
    "at faces.dmi.unibas.ch says"
)


class Expressions(NamedTuple):
    """Expression modes ``(E, V, 3)`` per standard deviation and what they add to the mean
    ``(V, 3)``, both in micrometres; ``source`` is for the model's notes.
    """

    modes: np.ndarray
    offset: np.ndarray | float
    source: str


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "shapeMU" in contents or "shapePC" in contents


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays and the files beside it describe.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together, and expressions of which a file
            is missing.
    """
    key = "tl" if "tl" in contents else "tri"
    require_keys(contents, (*REQUIRED, key))
    mean = points_of(contents["shapeMU"], "shapeMU")
    identity = modes_of(contents["shapePC"], "shapePC", len(mean), contents["shapeEV"])
    triangles = triangles_of(contents[key], key, first=1)
    expressions = _expressions(contents, path, len(mean))
    kept = np.arange(len(mean))
    if expressions is None:
        notes = ["no expressions: neither Exp_Pca.bin nor Model_Exp.mat lies beside the file"]
        modes, offset = np.zeros((0, *mean.shape), np.float32), 0.0
    else:
        modes, offset, source = expressions
        notes = [f"expressions from {source}"]
        if modes.shape[1] != len(mean):
            kept = _trim_index(path, len(mean), modes.shape[1])
            triangles = crop(triangles, kept, len(mean))
            notes.append(f"cropped to the {len(kept)} vertices that have expressions")
    if landmarks is None:
        landmarks = _landmarks(contents, path, kept, len(mean))
    return assemble(
        (mean[kept] + offset) * MM_PER_UM,
        identity[:, kept] * MM_PER_UM,
        modes * MM_PER_UM,
        triangles,
        landmarks,
        name=path.stem,
        license=_LICENSE,
        notes=notes,
    )


def read_model_exp(path: Path) -> Expressions:
    """The expressions of 3DDFA's ``Model_Exp.mat``: w_exp (3V, E), mu_exp, and sigma_exp, which
    some copies have in a file of its own.
    """
    contents = read_beside(path, "w_exp", "mu_exp")
    if "sigma_exp" not in contents and (own := beside(path, "sigma_exp.mat")):
        contents |= read_beside(own)
    require_keys(contents, ("sigma_exp",))
    offset = points_of(contents["mu_exp"], "mu_exp")
    modes = modes_of(contents["w_exp"], "w_exp", len(offset), contents["sigma_exp"])
    return Expressions(modes, offset, path.name)


def _expressions(contents: Mapping[str, Any], path: Path, vertices: int) -> Expressions | None:
    if "expPC" in contents:
        require_keys(contents, ("expPC", "expMU", "expEV"))
        modes = modes_of(contents["expPC"], "expPC", vertices, contents["expEV"])
        return Expressions(modes, points_of(contents["expMU"], "expMU"), path.name)
    if binary := beside(path, "Exp_Pca.bin"):
        return _read_exp_pca(binary)
    if matlab := beside(path, "Model_Exp.mat", "Model_Expression.mat"):
        return read_model_exp(matlab)
    return None


def _read_exp_pca(path: Path) -> Expressions:
    """The expressions of Guo et al. (TPAMI 2018): int32 count, float32 mean, float32 modes.

    The mean expression is left out, as in all published uses of the file: coefficients of 0 are the
    neutral face.
    """
    data = path.read_bytes()
    count = int(np.frombuffer(data, "<i4", 1)[0]) if len(data) >= 4 else 0
    rows, left = divmod(len(data) - 4, 12 * (count + 1)) if count > 0 else (0, 1)
    if left or not rows:
        raise ValueError(
            f"{path.name}: expected a count of modes and as many and one more vectors of float32, "
            f"got {len(data)} bytes and a count of {count}"
        )
    vectors = np.frombuffer(data, "<f4", offset=4).reshape(count + 1, 3 * rows)
    modes = modes_of(vectors[1:].T, path.name, rows, _exp_deviations(path))
    return Expressions(modes, 0.0, path.name)


def _exp_deviations(path: Path) -> np.ndarray:
    if text := beside(path, "std_exp.txt"):
        try:
            return np.array(text.read_text().split(), float)
        except ValueError as error:
            raise ValueError(f"{text.name}: expected numbers ({error})") from error
    if matlab := beside(path, "expEV.mat"):
        return read_beside(matlab, "expEV")["expEV"]
    raise ValueError("Exp_Pca.bin: expected its standard deviations beside it, std_exp.txt")


def _trim_index(path: Path, vertices: int, expected: int) -> np.ndarray:
    """The vertices that have expressions, in their order."""
    file = beside(path, *_TRIM)
    if file is None:
        raise ValueError(
            f"the expressions are for {expected} of the {vertices} vertices; expected "
            f"{' or '.join(_TRIM)} beside the file, whose trimIndex says which"
        )
    kept = ids_of(read_beside(file, "trimIndex")["trimIndex"], "trimIndex", first=1).ravel()
    if len(kept) != expected or kept.min() < 0 or kept.max() >= vertices:
        raise ValueError(
            f"{file.name}: trimIndex: expected {expected} ids from 1 to {vertices}, "
            f"got {len(kept)} from {kept.min() + 1} to {kept.max() + 1}"
        )
    return kept


def _landmarks(
    contents: Mapping[str, Any], path: Path, kept: np.ndarray, vertices: int
) -> np.ndarray | None:
    """The landmarks of the file, or those of the trimmed vertices in ``model_info.mat``."""
    if "kpt_ind" in contents:
        return landmarks_of(contents["kpt_ind"], "kpt_ind", first=1)
    file = beside(path, *_INFO)
    if file is None:
        return None
    info = read_beside(file, "trimIndex", "keypoints")
    trimmed = landmarks_of(info["keypoints"], "keypoints", first=1)
    if len(kept) < vertices:
        return trimmed
    trim = ids_of(info["trimIndex"], "trimIndex", first=1).ravel()
    if not 0 <= trimmed.min() <= trimmed.max() < len(trim):
        raise ValueError(
            f"{file.name}: keypoints: expected ids from 1 to {len(trim)}, "
            f"got {trimmed.min() + 1} to {trimmed.max() + 1}"
        )
    return trim[trimmed]
