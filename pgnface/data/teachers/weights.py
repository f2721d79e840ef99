"""How much each teacher counts, by the head's yaw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError
from pgnface.geometry import angles_from_rotation, solve_head_pose

BIN_EDGES = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, np.inf)
_FEWEST = 10


def head_yaw(landmarks: Tensor) -> Tensor:
    """|yaw| in degrees ``(N,)`` of landmarks ``(N, 68, 3)``, against the built-in model."""
    from pgnface.morphable import load_model

    model = load_model("default")
    shape = model.mean[model.landmarks.long()].to(landmarks)
    pose = solve_head_pose(shape.expand(len(landmarks), -1, -1), landmarks)
    return angles_from_rotation(pose.rotation)[:, 1].abs()


@dataclass(frozen=True)
class YawWeights:
    """Weights of teachers, linear between nodes and constant beyond the outer ones.

    Attributes:
        yaw: ``(B,)`` ascending |yaw| in degrees.
        weights: ``(B, T)``, each row sums to 1.
    """

    yaw: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __call__(self, landmarks: Tensor) -> Tensor:
        """Weights ``(T, N)`` of the teachers for faces of landmarks ``(N, 68, 3)``."""
        yaw = head_yaw(landmarks).double().numpy()
        columns = [np.interp(yaw, self.yaw, column) for column in self.weights.T]
        return torch.from_numpy(np.stack(columns)).to(landmarks)


def fit_weights(answers: Tensor, true: Tensor, edges: Sequence[float] = BIN_EDGES) -> YawWeights:
    """The best linear unbiased combination of teachers in bins of the head's yaw.

    The weights ``w`` of a bin, none negative, minimise ``w' C w`` for the covariance ``C`` of the
    teachers' 2D errors over its faces: of independent teachers each counts by its inverse variance,
    and those that err alike share what one of them would count. A face on which all err much counts
    less, by the inverse of its mean error, so that distances rather than their squares get small.

    Args:
        answers: ``(T, N, 68, 3)``; NaN where a teacher sees no face. Such faces are left out.
        true: ``(N, 68, 3)``.
        edges: of the bins of |yaw| in degrees; a bin of fewer than 10 faces is left out.

    Raises:
        UserError: when no bin has enough faces.
    """
    from scipy.optimize import nnls

    seen = answers.isfinite().all(-1).all(-1).all(0)
    answers, true = answers[:, seen].double(), true[seen].double()
    extent = (true[..., :2].amax(1) - true[..., :2].amin(1)).prod(-1).sqrt()
    errors = ((answers - true)[..., :2] / extent[:, None, None]).numpy()
    yaw = head_yaw(true).numpy()
    nodes, rows = [], []
    for low, high in pairwise(edges):
        inside = (yaw >= low) & (yaw < high)
        if inside.sum() < _FEWEST:
            continue
        part = errors[:, inside]
        size = np.linalg.norm(part.mean(0), axis=-1).mean(-1)
        covariance = np.einsum("tnkc,snkc,n->ts", part, part, 1 / np.maximum(size, 1e-3))
        covariance /= np.trace(covariance)
        root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
        # With a soft constraint on the sum, the direction of the minimum is that of the hard one.
        weights, _ = nnls(np.vstack((root.T, np.ones(len(root)))), np.eye(len(root) + 1)[-1])
        nodes.append(yaw[inside].mean())
        rows.append(weights / weights.sum())
    if not nodes:
        raise UserError(f"calibration: expected {_FEWEST} faces in a bin of yaw, got {len(true)}")
    return YawWeights(np.array(nodes), np.array(rows))
