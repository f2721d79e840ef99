"""Reader of the Basel Face Models 2017 and 2019 (Gerig et al., Morphable Face Models - An Open
Framework, FG 2018), and of the 2009 one in the same statismo HDF5 form.

Millimetres, our axes; orthonormal modes and variances; ids count from 0; ``cells`` (3, T).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgnface.morphable.model import MorphableModel

from .assemble import assemble, modes_of, points_of, triangles_of
from .contents import require_keys

FORMAT = "Basel Face Model 2017 or 2019 (HDF5)"
_MEAN = "shape/model/mean"
_CELLS = ("shape/representer/cells", "representer/cells")


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return any(key.startswith(("shape/model/", "shape/representer/")) for key in contents)


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays describe. The mean expression is part of the mean.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together.
    """
    cells = next((key for key in _CELLS if key in contents), _CELLS[0])
    require_keys(contents, (_MEAN, "shape/model/pcaBasis", "shape/model/pcaVariance", cells))
    mean = points_of(contents[_MEAN], _MEAN)
    notes = []
    if "expression/model/pcaBasis" in contents:
        require_keys(contents, ("expression/model/mean", "expression/model/pcaVariance"))
        expression = _modes(contents, "expression", len(mean))
        offset = points_of(contents["expression/model/mean"], "expression/model/mean")
        if offset.shape != mean.shape:
            raise ValueError(
                f"expression/model/mean: expected {len(mean)} vertices as in {_MEAN}, "
                f"got {len(offset)}"
            )
        shifted = mean + offset
    else:
        expression, shifted = np.zeros((0, *mean.shape), np.float32), mean
        notes.append("no expressions: the file holds no expression/model")
    return assemble(
        shifted,
        _modes(contents, "shape", len(mean)),
        expression,
        triangles_of(contents[cells], cells),
        landmarks,
        name=path.stem,
        license="Basel Face Model, (c) University of Basel: research only, as the licence at "
        "faces.dmi.unibas.ch says",
        notes=notes,
    )


def _modes(contents: Mapping[str, Any], part: str, vertices: int) -> np.ndarray:
    basis, variance = f"{part}/model/pcaBasis", f"{part}/model/pcaVariance"
    if (np.asarray(contents[variance]) < 0).any():
        raise ValueError(f"{variance}: expected no negative variance")
    return modes_of(contents[basis], basis, vertices, np.sqrt(contents[variance]))
