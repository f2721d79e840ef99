"""Reader of FLAME, 2017 to 2023 (Li et al., Learning a Model of Facial Shape and Expression from 4D
Scans, SIGGRAPH Asia 2017), as a pickle or an ``.npz`` of the same keys.

Metres, our axes; modes times standard deviations; ``shapedirs (V, 3, 400)`` holds 300 modes of
identity, then those of expression. The 68 landmarks lie beside it, as points on triangles.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.morphable.model import PCA_NAME
from pgnface.morphable.skinning import SkinnedModel

from .assemble import CARRIED_OVER, beside, outward, triangles_of
from .contents import read_contents, require_keys
from .npz import integer_tensor

FORMAT = "FLAME"
REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
#: Files of landmarks, in the order in which they are looked for.
EMBEDDINGS = (
    *(f"flame_static_embedding_68{v}.{s}" for v in ("", "_v4") for s in ("npz", "npy", "pkl")),
    *(f"flame_static_embedding.{suffix}" for suffix in ("pkl", "npy", "npz")),
    *(f"landmark_embedding.{suffix}" for suffix in ("npz", "npy")),
)
CONTOUR = ("flame_dynamic_embedding.npy", "flame_dynamic_embedding.npz")
_POINTS = (
    ("full_lmk_faces_idx", "full_lmk_bary_coords"),
    ("lmk_face_idx", "lmk_b_coords"),
    ("static_lmk_faces_idx", "static_lmk_bary_coords"),
)
_MM_PER_M = 1000.0
_IDENTITIES = 300
_CONTOUR_POINTS = 17


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "v_template" in contents and "shapedirs" in contents


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> SkinnedModel:
    """The model that a file's arrays and the landmarks beside it describe. Vertices that the
    eyes' joints carry are regions of their own. Landmarks that do not lie beside the file are
    carried over from the built-in model.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together, and damaged landmarks.
    """
    from pgnface.morphable.unwrap import unwrap

    require_keys(contents, REQUIRED)
    mean = _array(contents, "v_template", (None, 3)) * _MM_PER_M
    count = len(mean)
    shapes = _array(contents, "shapedirs", (count, 3, None)) * _MM_PER_M
    if shapes.shape[2] < _IDENTITIES:
        raise ValueError(
            f"shapedirs: expected {_IDENTITIES} modes of identity and those of expression, "
            f"got {shapes.shape[2]}: a body model?"
        )
    modes = np.ascontiguousarray(shapes.transpose(2, 0, 1))
    weights = _array(contents, "weights", (count, len(JOINTS)))
    corrective = _array(contents, "posedirs", (count, 3, 9 * (len(JOINTS) - 1))) * _MM_PER_M
    regressor = contents["J_regressor"]
    regressor = regressor.toarray() if hasattr(regressor, "toarray") else regressor
    regressor = _array({"J_regressor": regressor}, "J_regressor", (len(JOINTS), count))
    parents = np.asarray(contents["kintree_table"])[0].astype(np.int64)
    triangles = triangles_of(contents["f"], "f")
    facing = outward(mean, triangles)
    notes = ["texture coordinates computed"]
    if landmarks is None:
        landmarks, note = _landmarks(path, mean, triangles)
        notes.append(note)
    carried = weights.argmax(1)
    expressions = modes[_IDENTITIES:]

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    return SkinnedModel(
        tensor(mean),
        tensor(modes[:_IDENTITIES]),
        tensor(expressions),
        torch.from_numpy(facing),
        torch.from_numpy(unwrap(mean, facing)),
        integer_tensor(landmarks),
        name=path.stem,
        license="FLAME, (c) Max Planck Society: terms at flame.is.tue.mpg.de",
        expression_names=[f"{PCA_NAME}{i}" for i in range(len(expressions))],
        regions=torch.from_numpy(np.select((carried == 3, carried == 4), (1, 2), 0)),
        region_names=("skin", "eye_left", "eye_right"),
        notes=notes,
        joint_regressor=tensor(regressor),
        skin_weights=tensor(weights),
        joint_parents=[-1, *parents[1:].tolist()],  # the root's is the largest 32-bit number
        pose_basis=tensor(corrective.transpose(2, 0, 1)),
        joint_names=JOINTS,
    )


def _array(contents: Mapping[str, Any], key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A float64 array of a shape in which None stands for any size."""
    array = np.asarray(contents[key])
    fits = array.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu":
        wanted = ", ".join("*" if size is None else str(size) for size in shape)
        raise ValueError(f"{key}: expected numbers of shape ({wanted}), got {array.shape}")
    return array.astype(np.float64)


def _landmarks(path: Path, mean: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, str]:
    """Vertex ids of the landmarks beside the model, or else of those carried over, and a note."""
    file = beside(path, *EMBEDDINGS)
    if file is None:
        from pgnface.morphable.transfer import landmarks_by_transfer

        return landmarks_by_transfer(mean, outward(mean, triangles)), CARRIED_OVER
    faces, weights = _points(file)
    source = file.name
    if len(faces) == LANDMARK_COUNT - _CONTOUR_POINTS:
        contour = beside(path, *CONTOUR)
        if contour is None:
            raise ValueError(f"{file.name}: holds no jaw; expected {CONTOUR[0]} beside it")
        # One row for each degree of yaw; the first is that of a frontal face.
        jaw = _points(contour, row=0)
        faces = np.concatenate((jaw[0], faces))
        weights = np.concatenate((jaw[1], weights))
        source += f" and {contour.name}"
    if len(faces) != LANDMARK_COUNT or weights.shape != (LANDMARK_COUNT, 3):
        raise ValueError(f"{file.name}: expected {LANDMARK_COUNT} points, got {len(faces)}")
    if faces.min() < 0 or faces.max() >= len(triangles):
        raise ValueError(
            f"{file.name}: expected triangles below {len(triangles)}, got {faces.max()}"
        )
    corners = triangles[faces]
    points = (weights[..., None] * mean[corners]).sum(1, keepdims=True)
    nearest = np.linalg.norm(mean[corners] - points, axis=-1).argmin(1)
    note = f"landmarks of {source}, each at the nearest corner of its triangle"
    return corners[np.arange(LANDMARK_COUNT), nearest], note


def _points(file: Path, row: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Triangles ``(K,)`` and barycentric coordinates ``(K, 3)``."""
    try:
        contents = read_contents(file)
    except ValueError as error:
        raise ValueError(f"{file.name}: {error}; or give landmarks=") from error
    for faces, weights in _POINTS:
        if faces in contents and weights in contents:
            ids, places = np.asarray(contents[faces]), np.asarray(contents[weights], np.float64)
            if row is not None:
                ids, places = ids[row], places[row]
            return ids.reshape(-1).astype(np.int64), places.reshape(-1, 3)
    found = ", ".join(sorted(contents)) or "none"
    raise ValueError(f"{file.name}: expected {_POINTS[0][0]} or {_POINTS[1][0]}, found {found}")
