"""Small generated face models for tests."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from pgnface.geometry.landmarks import LANDMARK_COUNT, LANDMARK_MIRROR
from pgnface.morphable import MorphableModel

_COLUMNS, _ROWS = 17, 13

# Rough places of the landmarks on the subject's right side and on the midline: (u, v) of the chart.
_PLACES = {
    **{0: (0.02, 0.35), 1: (0.03, 0.45), 2: (0.04, 0.55), 3: (0.06, 0.65), 4: (0.1, 0.74)},
    **{5: (0.17, 0.83), 6: (0.26, 0.9), 7: (0.38, 0.95), 8: (0.5, 0.97)},
    **{17: (0.1, 0.22), 18: (0.17, 0.18), 19: (0.25, 0.17), 20: (0.33, 0.18), 21: (0.41, 0.2)},
    **{27: (0.5, 0.3), 28: (0.5, 0.37), 29: (0.5, 0.44), 30: (0.5, 0.51)},
    **{31: (0.4, 0.56), 32: (0.45, 0.57), 33: (0.5, 0.58)},
    **{36: (0.18, 0.31), 37: (0.23, 0.28), 38: (0.3, 0.28)},
    **{39: (0.36, 0.31), 40: (0.3, 0.33), 41: (0.23, 0.33)},
    **{48: (0.32, 0.73), 49: (0.38, 0.69), 50: (0.45, 0.67), 51: (0.5, 0.68)},
    **{57: (0.5, 0.81), 58: (0.44, 0.8), 59: (0.38, 0.77)},
    **{60: (0.35, 0.73), 61: (0.44, 0.72), 62: (0.5, 0.72), 66: (0.5, 0.75), 67: (0.44, 0.75)},
}


def tiny_model() -> MorphableModel:
    """A smooth face-like shell: V = 221, T = 384, I = 4, E = 3, mirror-symmetric.

    Two identity modes are symmetric (width, height), one is the nose, one asymmetric; expressions
    are jawOpen, browsUp and mouthSmileLeft. The 68 landmarks are distinct vertices.
    """
    u, v = np.meshgrid(np.linspace(0.02, 0.98, _COLUMNS), np.linspace(0.02, 0.98, _ROWS))
    u, v = u.ravel(), v.ravel()
    right = u - 0.5  # grows to the subject's left, which is the right of the texture
    x = 72 * np.sin(2.9 * right)
    y = 95 * (0.5 - v) * 2
    nose = _bump(u, v, 0.5, 0.48, 0.07, 0.12)
    z = 70 * np.cos(2.6 * right) - 18 * (2 * v - 1) ** 2 + 22 * nose
    mean = np.stack((x, y, z), 1)
    zero = np.zeros_like(x)
    identity = [
        np.stack((0.05 * x, zero, zero), 1),
        np.stack((zero, 0.04 * y, zero), 1),
        np.stack((zero, zero, 3 * nose), 1),
        np.stack((2 * np.cos(3 * right), zero, 2 * np.sin(3 * right)), 1),
    ]
    chin = np.clip((v - 0.73) / 0.25, 0, 1)
    brows = np.exp(-(((v - 0.2) / 0.1) ** 2))
    corner = _bump(u, v, 0.67, 0.73, 0.1, 0.08)
    expression = [
        np.stack((zero, -25 * chin, -6 * chin), 1),
        np.stack((zero, 6 * brows, zero), 1),
        np.stack((5 * corner, 5 * corner, -2 * corner), 1),
    ]
    corner_ids = np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
    a, b, c, d = (
        ids.ravel()
        for ids in (
            corner_ids[:-1, :-1],
            corner_ids[1:, :-1],
            corner_ids[1:, 1:],
            corner_ids[:-1, 1:],
        )
    )
    triangles = np.concatenate((np.stack((a, b, c), 1), np.stack((a, c, d), 1)))

    def tensor(array) -> torch.Tensor:
        return torch.tensor(np.asarray(array), dtype=torch.float32)

    return MorphableModel(
        tensor(mean),
        tensor(identity),
        tensor(expression),
        torch.tensor(triangles),
        tensor(np.stack((u, v), 1)),
        torch.tensor(_landmarks(u, v)),
        name="tiny",
        expression_names=["jawOpen", "browsUp", "mouthSmileLeft"],
        license="generated",
    )


def _bump(u, v, u0, v0, su, sv):
    return np.exp(-(((u - u0) / su) ** 2) - ((v - v0) / sv) ** 2)


def _landmarks(u: np.ndarray, v: np.ndarray) -> list[int]:
    """Distinct vertices nearest to the places, in mirrored pairs."""
    ids = np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
    mirror = ids[:, ::-1].ravel()
    middle = ids[:, _COLUMNS // 2]
    chosen = [-1] * LANDMARK_COUNT
    on_midline = [k for k in _PLACES if LANDMARK_MIRROR[k] == k]
    beside = [k for k in _PLACES if LANDMARK_MIRROR[k] != k]
    for group, candidates in ((on_midline, middle), (beside, ids[:, : _COLUMNS // 2].ravel())):
        places = np.array([_PLACES[k] for k in group])
        cost = np.hypot(places[:, :1] - u[candidates], places[:, 1:] - v[candidates])
        for row, column in zip(*linear_sum_assignment(cost**2), strict=True):
            vertex = candidates[column]
            chosen[group[row]] = int(vertex)
            chosen[LANDMARK_MIRROR[group[row]]] = int(mirror[vertex])
    return chosen
