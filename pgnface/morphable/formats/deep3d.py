"""Reader of ``BFM_model_front.mat``, the front of the Basel Face Model 2009 with FaceWarehouse's
expressions (Deng et al., Accurate 3D Face Reconstruction with Weakly-Supervised Learning, CVPRW
2019; Guo et al., CNN-based Real-time Dense Face Reconstruction, TPAMI 2018).

Decimetres (the Basel model's micrometres over 1e5); modes are times their standard deviations;
vertex ids count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgnface.morphable.model import MorphableModel

from .assemble import assemble, landmarks_of, modes_of, points_of, triangles_of
from .contents import require_keys

FORMAT = "Deep3D's BFM_model_front.mat"
REQUIRED = ("meanshape", "idBase", "exBase", "tri")
_MM_PER_DM = 100.0


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether the arrays of a file are of this format."""
    return "idBase" in contents or "meanshape" in contents


def read(
    contents: Mapping[str, Any], path: Path, landmarks: np.ndarray | None = None
) -> MorphableModel:
    """The model that a file's arrays describe.

    Raises:
        KeyError: for a missing key.
        TypeError, ValueError: for arrays that do not fit together.
    """
    require_keys(contents, REQUIRED)
    mean = points_of(contents["meanshape"], "meanshape")
    if landmarks is None and "keypoints" in contents:
        landmarks = landmarks_of(contents["keypoints"], "keypoints", first=1)
    return assemble(
        mean * _MM_PER_DM,
        modes_of(contents["idBase"], "idBase", len(mean)) * _MM_PER_DM,
        modes_of(contents["exBase"], "exBase", len(mean)) * _MM_PER_DM,
        triangles_of(contents["tri"], "tri", first=1),
        landmarks,
        name=path.stem,
        license="Basel Face Model 2009, (c) University of Basel: non-commercial research only; "
        "expressions of Guo et al. from FaceWarehouse",
    )
