"""Reader of ICT-FaceKit models stored as npz (Li et al., Learning Formation of Physically-Based
Face Attributes, CVPR 2020): centimetres, v up, ``landmarks68``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pgnface.morphable.model import MorphableModel

from .contents import require_keys
from .npz import integer_tensor

FORMAT = "ICT-FaceKit npz"
REQUIRED = ("mean", "identity_basis", "expression_basis", "triangles", "uv", "landmarks68")
_MM_PER_CM = 10.0


def matches(arrays: Mapping[str, np.ndarray], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "format" not in arrays and "landmarks68" in arrays


def read(
    arrays: Mapping[str, np.ndarray], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays describe, in millimetres and with v down.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together.
    """
    require_keys(arrays, REQUIRED)

    def in_mm(key: str) -> torch.Tensor:
        return torch.from_numpy(np.asarray(arrays[key], np.float32)) * _MM_PER_CM

    uv = torch.from_numpy(np.asarray(arrays["uv"], np.float32))
    names = arrays.get("expression_names")
    return MorphableModel(
        in_mm("mean"),
        in_mm("identity_basis"),
        in_mm("expression_basis"),
        integer_tensor(arrays["triangles"]),
        torch.cat((uv[..., :1], 1 - uv[..., 1:]), dim=-1),
        integer_tensor(arrays["landmarks68"] if landmarks is None else landmarks),
        name=path.stem,
        expression_names=None if names is None else [str(n) for n in names],
        license="ICT-FaceKit, MIT licence, (c) 2020 USC Institute for Creative Technologies",
    )
