"""Reader of the Basel Face Model 2009 as 3DDFA uses it (Zhu et al., Face Alignment in Full Pose
Range, TPAMI 2017; Guo et al., Towards Fast, Accurate and Stable 3D Dense Face Alignment, ECCV
2020): ``bfm_noneck_v3.pkl`` and the older ``bfm.pkl``, ``Model_Shape.mat`` with ``Model_Exp.mat``,
and ``u_shp``, ``u_exp``, ``w_shp``, ``w_exp``, ``keypoints`` as a folder of .npy files or in one
.npz.

Micrometres, our axes; the mean holds the mean expression; modes without their standard deviations,
which come from ``sigma`` of the .mat files or, for the others, from the statistics of the network's
targets over 300W-LP (``param_mean_std_62d_120x120.pkl``, ``param_whitening.pkl``). Ids count from 1
in .mat files, else from 0; ``keypoints`` are places in the flat vertices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgnface.morphable.model import MorphableModel

from .assemble import assemble, beside, landmarks_of, modes_of, points_of, triangles_of
from .bfm2009 import MM_PER_UM, read_model_exp
from .contents import read_array, read_beside, require_keys
from .pickles import read_pickle

FORMAT = "3DDFA"
_SIMPLE = "_sim"  # of w_shp_sim.npy: only the first modes
_ARRAYS = ("u_shp", "u_exp", "w_shp", "w_exp", "keypoints")
_STATISTICS = ("param_mean_std_62d_120x120.pkl", "param_whitening.pkl")
_POSE_PARAMETERS = 12
#: Identity and expression modes of a network by the number of its parameters.
_SPLITS = {62: (40, 10), 72: (40, 20), 141: (100, 29), 240: (199, 29)}
_LICENSE = (
    "Basel Face Model 2009, (c) University of Basel, changed by the authors of 3DDFA: academic use "
    "only"
)


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file, or the files of a folder, are of this format."""
    if path.is_dir():
        return beside(path, "u_shp.npy", "w_shp.npy", "w_shp_sim.npy") is not None
    return "w_shp" in contents or "u_shp" in contents or {"mu_shape", "w"} <= set(contents)


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that the arrays and the files beside them describe.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together, and when triangles or standard
            deviations are nowhere.
    """
    if "mu_shape" in contents:
        return _read_matlab(contents, path, landmarks)
    if path.is_dir():
        contents = _read_folder(path)
    contents = {key.removesuffix(_SIMPLE): value for key, value in contents.items()}
    if "u" in contents:
        mean = points_of(contents["u"], "u")
    else:
        require_keys(contents, ("u_shp", "u_exp"))
        mean = points_of(contents["u_shp"], "u_shp") + points_of(contents["u_exp"], "u_exp")
    require_keys(contents, ("w_shp", "w_exp"))
    shape, expression = np.asarray(contents["w_shp"]), np.asarray(contents["w_exp"])
    counts, deviations, note = _deviations(contents, path, (shape.shape[-1], expression.shape[-1]))
    if landmarks is None and "keypoints" in contents:
        landmarks = landmarks_of(contents["keypoints"], "keypoints")
    return assemble(
        mean * MM_PER_UM,
        modes_of(shape[..., : counts[0]], "w_shp", len(mean), deviations[0]) * MM_PER_UM,
        modes_of(expression[..., : counts[1]], "w_exp", len(mean), deviations[1]) * MM_PER_UM,
        _triangles(contents, path),
        landmarks,
        name=path.stem,
        license=_LICENSE,
        notes=[note],
    )


def _read_matlab(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None
) -> MorphableModel:
    require_keys(contents, ("mu_shape", "w", "sigma", "tri"))
    file = beside(path, "Model_Exp.mat", "Model_Expression.mat")
    if file is None:
        raise ValueError("expected Model_Exp.mat beside the file")
    mean = points_of(contents["mu_shape"], "mu_shape")
    modes, offset, source = read_model_exp(file)
    if len(offset) != len(mean):
        raise ValueError(f"{source}: expected {len(mean)} vertices, got {len(offset)}")
    if landmarks is None and "keypoints" in contents:
        landmarks = landmarks_of(contents["keypoints"], "keypoints", first=1)
    return assemble(
        (mean + offset) * MM_PER_UM,
        modes_of(contents["w"], "w", len(mean), contents["sigma"]) * MM_PER_UM,
        modes * MM_PER_UM,
        triangles_of(contents["tri"], "tri", first=1),
        landmarks,
        name=path.stem,
        license=_LICENSE,
        notes=[f"expressions from {source}"],
    )


def _read_folder(path: Path) -> dict[str, Any]:
    files = {
        name: file for name in _ARRAYS if (file := beside(path, f"{name}.npy", f"{name}_sim.npy"))
    }
    return {name: read_array(file) for name, file in files.items()}


def _triangles(contents: Mapping[str, Any], path: Path) -> np.ndarray:
    if contents.get("tri") is not None:
        return triangles_of(contents["tri"], "tri")
    file = beside(path, "tri.pkl", "tri.npy", "tri.mat")
    if file is None:
        raise ValueError("the file has no triangles (tri); expected tri.pkl or tri.mat beside it")
    if file.suffix == ".mat":
        return triangles_of(read_beside(file, "tri")["tri"], file.name, first=1)
    return triangles_of(read_pickle(file) if file.suffix == ".pkl" else read_array(file), file.name)


def _deviations(
    contents: Mapping[str, Any], path: Path, modes: tuple[int, int]
) -> tuple[tuple[int, int], tuple[np.ndarray, np.ndarray], str]:
    """How many modes are used, their standard deviations, and where these come from."""
    if "sigma" in contents and "sigma_exp" in contents:
        return modes, (contents["sigma"], contents["sigma_exp"]), "standard deviations of the file"
    vector, source = _statistics(contents, path)
    used = modes if len(vector) == _POSE_PARAMETERS + sum(modes) else _SPLITS.get(len(vector))
    if used is None or used[0] > modes[0] or used[1] > modes[1]:
        raise ValueError(
            f"{source}: expected {_POSE_PARAMETERS} numbers of the pose, {modes[0]} of the "
            f"identity and {modes[1]} of the expression, got {len(vector)}"
        )
    start = _POSE_PARAMETERS + used[0]
    parts = (vector[_POSE_PARAMETERS:start], vector[start:])
    return used, parts, f"standard deviations over 300W-LP, from {source}"


def _statistics(contents: Mapping[str, Any], path: Path) -> tuple[np.ndarray, str]:
    if "param_std" in contents:
        return np.ravel(contents["param_std"]), "param_std"
    file = beside(path, *_STATISTICS)
    if file is None:
        raise ValueError(
            "the file has no standard deviations (sigma and sigma_exp, or param_std); expected "
            f"{' or '.join(_STATISTICS)} beside it"
        )
    key = "param_std" if file.name == "param_whitening.pkl" else "std"
    return np.ravel(read_beside(file, key)[key]), file.name
