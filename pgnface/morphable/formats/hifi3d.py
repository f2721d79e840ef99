"""Reader of ``HIFI3D++.mat`` (Chai et al., REALY: Rethinking the Evaluation of 3D Face
Reconstruction, ECCV 2022) and of the HIFI3D shape files in its form (Bao et al., TOG 2021).

Modes in rows, drawn with standard normal coefficients; ids count from 0; the unit is not stated and
is the power of ten of a millimetre that gives a head of a head's height. The 86 key points are not
those of iBUG.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgnface.morphable.model import MorphableModel

from .assemble import assemble, modes_of, points_of, triangles_of
from .contents import require_keys

FORMAT = "HIFI3D++"
REQUIRED = ("mu_shape", "basis_shape", "basis_exp", "tri")
_HEAD_HEIGHT = 250.0  # mm; any height from 79 to 790 mm gives the same unit


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "basis_shape" in contents


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays describe; expressions are full at coefficient 1.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together.
    """
    require_keys(contents, REQUIRED)
    mean = points_of(contents["mu_shape"], "mu_shape")
    height = float(np.ptp(mean[:, 1]))
    if height == 0:
        raise ValueError("mu_shape: expected a head, got points of one height")
    unit = 10.0 ** round(float(np.log10(_HEAD_HEIGHT / height)))

    def modes(key: str) -> np.ndarray:
        return modes_of(np.asarray(contents[key]).T, key, len(mean)) * unit

    return assemble(
        mean * unit,
        modes("basis_shape"),
        modes("basis_exp"),
        triangles_of(contents["tri"], "tri"),
        landmarks,
        name=path.stem,
        license="HIFI3D++, (c) Tencent AI Lab: research only",
        pca_expressions=False,
        notes=[f"the file states no unit: taken as {unit:g} mm"],
    )
