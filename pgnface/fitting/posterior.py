"""The posterior of a linear-Gaussian model, with or without the pose among the unknowns.

Tipping and Bishop, *Probabilistic Principal Component Analysis*, J. R. Stat. Soc. B 1999. All in
float64: the systems are small and badly scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgnface.geometry.pose import Pose, apply_pose, flip_axes

# Share of the largest precision that keeps what the points leave open where it is.
_OPEN = 1e-10


class Posterior(NamedTuple):
    """Normal distribution of the coefficients, and the step of the pose.

    Attributes:
        mean: ``(N, P)``.
        covariance: ``(N, P, P)``; with the pose's uncertainty where it was among the unknowns.
        step: ``(N, 7)`` of the pose (log scale, turn, shift), zeros where it was not.
        determined: ``(N,)`` how many of the unknowns the data determine, the ``gamma`` of MacKay
            (Neural Computation 1992).
    """

    mean: Tensor
    covariance: Tensor
    step: Tensor
    determined: Tensor


def linearise(mean: Tensor, basis: Tensor, coefficients: Tensor, pose: Pose, axes: int):
    """Image points of a shape, and their derivatives.

    Args:
        mean, basis: ``(K, 3)`` and ``(P, K, 3)`` of the observed points.
        coefficients: ``(N, P)``.
        axes: 2 or 3, how many of the image's axes are observed.

    Returns:
        Points ``(N, K * axes)``, their derivatives by the coefficients ``(N, K * axes, P)`` and by
        log scale, turn (a rotation vector before the flip of axes) and shift ``(N, K * axes, 7)``.
    """
    shape = mean + torch.einsum("np,pkc->nkc", coefficients, basis)
    points = apply_pose(pose, shape)
    linear = pose.scale[:, None, None] * pose.image_rotation
    by_shape = torch.einsum("nac,pkc->nkap", linear[:, :axes], basis)
    turned = pose.scale[:, None, None] * shape @ pose.rotation.transpose(1, 2)
    units = torch.eye(3, dtype=shape.dtype, device=shape.device)
    columns = [turned, *(unit.expand_as(turned).cross(turned, dim=-1) for unit in units)]
    by_pose = torch.stack([flip_axes(column) for column in columns], dim=-1)
    shift = units.expand(*shape.shape[:2], 3, 3)
    by_pose = torch.cat((by_pose, shift), dim=-1)[:, :, :axes]
    return points[..., :axes].flatten(1), by_shape.flatten(1, 2), by_pose.flatten(1, 2)


def volume_gradient(
    by_shape: Tensor, basis: Tensor, pose: Pose, precision: Tensor, spread: Tensor
) -> Tensor:
    """Derivative of ``log |A^T W A + D^-2| / 2`` by log scale, turn and shift ``(N, 7)``.

    The most probable pose of all shapes together is not the pose of the most probable pair: a
    larger scale lets all coefficients shrink at once, so that the pair's scale is too large (3 %
    with 68 points and 100 modes). This is what the integral over the shapes adds to the gradient;
    MacKay (1992) has it as the Occam factor.

    Args:
        by_shape: A, ``(N, K * axes, P)``.
        basis: ``(P, K, 3)`` of the observed points.
        precision: diagonal of W, ``(N, K * axes)``.
        spread: diagonal of D, ``(P,)``.
    """
    weighted = by_shape * precision[..., None]
    hessian = by_shape.transpose(1, 2) @ weighted + torch.diag(spread**-2)
    factor = torch.linalg.cholesky(hessian)
    gain = torch.cholesky_solve(weighted.transpose(1, 2), factor)
    axes = by_shape.shape[1] // basis.shape[1]
    gain = gain.unflatten(2, (basis.shape[1], axes))
    turned = torch.einsum("nbc,pkc->npkb", pose.rotation, basis)
    by_map = torch.einsum("npka,npkb->nab", gain, turned) * pose.scale[:, None, None]
    units = torch.eye(3, dtype=basis.dtype, device=basis.device)
    generators = [units, *(torch.linalg.cross(unit.expand(3, 3), units).T for unit in units)]
    maps = torch.stack([flip_axes(generator, dim=0)[:axes] for generator in generators])
    gradient = torch.einsum("nab,jab->nj", by_map, maps)
    return torch.cat((gradient, gradient.new_zeros(len(gradient), 3)), dim=1)


def solve_posterior(
    by_shape: Tensor,
    by_pose: Tensor | None,
    target: Tensor,
    precision: Tensor,
    spread: Tensor,
    volume: Tensor | None = None,
) -> Posterior:
    """The posterior of ``target = by_shape @ c + by_pose @ d + noise``, c normal, d free.

    Args:
        by_shape: ``(N, M, P)``.
        by_pose: ``(N, M, 7)``, or None where the pose is known.
        target: ``(N, M)``.
        precision: ``(N, M)`` one over the noise's variance; 0 where nothing was observed.
        spread: ``(P,)`` prior standard deviation of the coefficients, whose mean is 0.
        volume: ``(N, 7)`` see :func:`volume_gradient`, where the pose is unknown.
    """
    count = by_shape.shape[-1]
    jacobian = by_shape if by_pose is None else torch.cat((by_shape, by_pose), dim=-1)
    weighted = jacobian * precision[..., None]
    data = jacobian.transpose(1, 2) @ weighted
    right = weighted.transpose(1, 2) @ target[..., None]
    if volume is not None:
        right = right - torch.cat((torch.zeros_like(right[:, :count, 0]), volume), 1)[..., None]
    prior = torch.zeros_like(data[0].diagonal())
    prior[:count] = spread**-2
    free = torch.ones_like(prior)
    free[:count] = 0
    # What no point determines (depth of a flat picture's shift, say) stays where it is.
    floor = free * _OPEN * data.diagonal(dim1=1, dim2=2).amax(1, keepdim=True).clamp(min=1e-30)
    hessian = data + torch.diag_embed(prior + floor)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    solution = (inverse @ right)[..., 0]
    determined = (inverse * data).sum((1, 2))
    step = solution[:, count:] if by_pose is not None else solution.new_zeros(len(solution), 7)
    return Posterior(solution[:, :count], inverse[:, :count, :count], step, determined)


def move_pose(pose: Pose, step: Tensor) -> Pose:
    """The pose after a step ``(N, 7)`` of log scale, turn and shift."""
    turn = step[:, 1:4]
    zero = torch.zeros_like(turn[:, 0])
    x, y, z = turn.unbind(1)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), 1).unflatten(1, (3, 3))
    return Pose(
        pose.scale * step[:, 0].exp(),
        torch.linalg.matrix_exp(skew) @ pose.rotation,
        pose.translation + step[:, 4:],
    )
