"""A face model fitted to a surface of another topology, without known correspondence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pgnface.evaluation.metrics import IDENTITY, Alignment, Surface, align_along, align_surface
from pgnface.evaluation.metrics.surface import check_points
from pgnface.morphable import MorphableModel


class SurfaceFit(NamedTuple):
    """What :func:`fit_surface` found.

    Attributes:
        identity: ``(I,)`` coefficients.
        alignment: a similarity from the model's space to the points' frame.
    """

    identity: Tensor
    alignment: Alignment


def fit_surface(
    model: MorphableModel,
    points: ArrayLike,
    *,
    noise: float = 0.5,
    limit: float = np.inf,
    initial: Alignment = IDENTITY,
    iterations: int = 15,
) -> SurfaceFit:
    """The neutral face of a model nearest to a surface, known at points.

    The model is first aligned to the points by a similarity. Each step then pairs every point with
    the nearest point of the model, and minimises over coefficients c and a similarity's small
    motion ``sum (n . (point - nearest))^2 + noise^2 |c|^2`` along the model's normals n.

    Args:
        model: the face model, on the CPU.
        points: ``(N, 3)`` in mm.
        noise: mm in the model's size; a point that is so far off counts as a coefficient of 1.
        limit: largest absolute value of a coefficient, in standard deviations.
        initial: of the model's mean face to the points, roughly right.
        iterations: steps.

    Raises:
        ValueError: for wrong shapes, or noise, limit or iterations that are not above 0.
    """
    from scipy.optimize import lsq_linear

    points = check_points("points", points)
    if not (noise > 0 and limit > 0) or iterations < 1:
        raise ValueError(
            f"noise, limit and iterations must be above 0, got {noise:g}, {limit:g}, {iterations}"
        )
    mean, basis = model.mean.double().numpy(), model.identity_basis.double().numpy()
    corners = model.triangles.long().numpy()
    count = len(basis)
    prior = noise * np.eye(count, count + 7)
    bound = np.full(count + 7, np.inf)
    bound[:count] = limit
    identity = np.zeros(count)
    alignment = align_surface(Surface(mean, corners), points, initial=initial).alignment
    for _ in range(iterations):
        surface = Surface(mean + np.tensordot(identity, basis, 1), corners)
        local = alignment.inverse().apply(points)
        nearest = surface.nearest(local)
        normals = surface.normals(nearest.triangles)
        weights = nearest.barycentrics
        moves = np.einsum("pnkc,nk,nc->np", basis[:, corners[nearest.triangles]], weights, normals)
        arms = nearest.points - nearest.points.mean(0)
        motion = (np.cross(arms, normals), normals, (arms * normals).sum(1, keepdims=True))
        design = np.vstack((np.hstack((moves, *motion)), prior))
        # Of the coefficients themselves rather than of their change, for the prior is on these.
        gap = ((local - nearest.points) * normals).sum(1) + moves @ identity
        target = np.concatenate((gap, np.zeros(count)))
        found = lsq_linear(design, target, (-bound, bound)).x[:count]
        change = np.tensordot(found - identity, basis, 1)[corners[nearest.triangles]]
        moved = nearest.points + np.einsum("nkc,nk->nc", change, weights)
        alignment = alignment.after(align_along(moved, local, normals, scale=True))
        identity = found
    return SurfaceFit(torch.from_numpy(identity).to(model.mean), alignment)
