"""pgnface's own model file: an ``.npz`` of plain arrays, described in docs/models.md.

A file may hold a dense model, or a coarse *control mesh* with a sparse operator that turns control
vertices into the model's vertices (a subdivision step and a crop, say). Applied to the mean and
each basis vector once at loading, the operator makes the file several times smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pgnface.morphable.model import MorphableModel, array_digest
from pgnface.morphable.skinning import SkinnedModel

from .contents import require_keys

FORMAT = "pgnface-model-1"
REQUIRED = ("mean", "identity_basis", "expression_basis", "triangles", "uv", "landmarks")
_SKIN = ("joint_regressor", "skin_weights", "pose_basis")
_JOINTS = (*_SKIN, "joint_parents", "joint_names")
_OPERATOR = ("operator_data", "operator_indices", "operator_indptr")


def matches(arrays: Mapping[str, np.ndarray], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "format" in arrays and str(arrays["format"]) == FORMAT


def read(
    arrays: Mapping[str, np.ndarray], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays describe; named as the file when they hold no name.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together.
    """
    require_keys(arrays, REQUIRED)
    mean = np.asarray(arrays["mean"], np.float32)
    identity = np.asarray(arrays["identity_basis"], np.float32)
    expression = np.asarray(arrays["expression_basis"], np.float32)
    digest = None
    if any(key in arrays for key in _OPERATOR):
        require_keys(arrays, _OPERATOR)
        stored = (*_OPERATOR, "mean", "identity_basis", "expression_basis", "triangles")
        digest = array_digest(
            *(arrays[key] for key in stored),
            arrays["landmarks"] if landmarks is None else landmarks,
        )
        mean, identity, expression = _expand(arrays, mean, identity, expression)
    names = arrays.get("expression_names")
    regions = arrays.get("regions")
    joints = {}
    if any(key in arrays for key in _JOINTS):
        require_keys(arrays, _JOINTS)
        joints = {key: torch.from_numpy(np.asarray(arrays[key], np.float32)) for key in _SKIN}
        joints["joint_parents"] = arrays["joint_parents"].tolist()
        joints["joint_names"] = arrays["joint_names"].tolist()
    return (SkinnedModel if joints else MorphableModel)(
        torch.from_numpy(mean),
        torch.from_numpy(identity),
        torch.from_numpy(expression),
        integer_tensor(arrays["triangles"]),
        torch.from_numpy(np.asarray(arrays["uv"], np.float32)),
        integer_tensor(arrays["landmarks"] if landmarks is None else landmarks),
        name=str(arrays.get("name", path.stem)),
        expression_names=None if names is None else [str(n) for n in names],
        license=str(arrays.get("license", "")),
        regions=None if regions is None else integer_tensor(regions),
        region_names=[str(n) for n in arrays.get("region_names", ["skin"])],
        digest=digest,
        **joints,
        notes=[str(n) for n in arrays.get("notes", [])],
    )


def save_model(model: MorphableModel, path: str | Path) -> None:
    """Write a dense float32 file that :func:`pgnface.morphable.load_model` reads back exactly.

    Raises:
        ValueError: for a model with a 16-bit basis, whose exact numbers are gone.
    """
    if model.quantized is not None:
        raise ValueError(
            "save_model: expected a model with its basis in float32, got one in 16 bits; "
            "save it before quantize_basis()"
        )
    arrays = {key: getattr(model, key).detach().cpu().numpy() for key in (*REQUIRED, "regions")}
    if isinstance(model, SkinnedModel):
        arrays |= {key: getattr(model, key).detach().cpu().numpy() for key in _SKIN}
        arrays["joint_parents"] = np.array(model.joint_parents)
        arrays["joint_names"] = np.array(model.joint_names, dtype=np.str_)
    np.savez_compressed(
        path,
        format=FORMAT,
        name=model.name,
        license=model.license,
        expression_names=np.array(model.expression_names, dtype=np.str_),
        region_names=np.array(model.region_names, dtype=np.str_),
        notes=np.array(model.notes, dtype=np.str_),
        **arrays,
    )


def integer_tensor(array: np.ndarray) -> torch.Tensor:
    """An integer array as int64; anything else as it is, for the model's checks to name it."""
    array = np.asarray(array)
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array)


def _expand(
    arrays: Mapping[str, np.ndarray], *fields: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Apply the sparse operator (V, C) to control-mesh fields (..., C, 3)."""
    from scipy import sparse

    columns = fields[0].shape[0]
    indices, indptr = arrays["operator_indices"], arrays["operator_indptr"]
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < columns:
        raise ValueError(
            f"operator_indices: expected ids from 0 to {columns - 1}, "
            f"got {indices.min()} to {indices.max()}"
        )
    try:
        operator = sparse.csr_matrix(
            (
                np.asarray(arrays["operator_data"], np.float32),
                indices.astype(np.int32),
                indptr.astype(np.int32),
            ),
            shape=(len(indptr) - 1, columns),
        )
    except ValueError as error:
        raise ValueError(f"operator_indptr: {error}") from error
    for key, field in zip(("mean", "identity_basis", "expression_basis"), fields, strict=True):
        if field.ndim < 2 or field.shape[-2:] != (columns, 3):
            raise ValueError(f"{key}: expected shape (..., {columns}, 3), got {field.shape}")

    def apply(field: np.ndarray) -> np.ndarray:
        # One sparse product for all vectors: columns are (vector, coordinate) pairs.
        flat = field.reshape(-1, columns, 3).transpose(1, 0, 2).reshape(columns, -1)
        dense = (operator @ flat).reshape(operator.shape[0], -1, 3).transpose(1, 0, 2)
        return np.ascontiguousarray(dense).reshape(*field.shape[:-2], operator.shape[0], 3)

    return tuple(apply(field) for field in fields)
