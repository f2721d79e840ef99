"""Dense faces from sparse points by probabilistic principal component analysis.

After Xie, Wang and Wu, *3D face dense reconstruction based on sparse points using probabilistic
principal component analysis*, 2021: a face model is a linear-Gaussian model, so the shape given
some of its points has a normal distribution in closed form. The pose is found beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgnface.geometry import Pose, apply_pose, solve_head_pose
from pgnface.morphable import MorphableModel

from .posterior import Posterior, linearise, move_pose, solve_posterior, volume_gradient

# Rounds of shape given pose and pose given shape, before both are moved together.
_ALTERNATIONS = 5
# Pull of the first pose of 2D points towards a frontal one, for points that lie in a plane.
_FRONTAL = 1e-3
# An estimated noise is at least this share of the points' extent.
_LEAST_NOISE = 1e-5


class LandmarkFit(NamedTuple):
    """Faces fitted to points, and how uncertain they are.

    Attributes:
        identity: ``(N, I)`` posterior means.
        expression: ``(N, E)`` likewise.
        pose: from model space to the points' frame; the z of its translation is 0 for 2D points.
        vertices: ``(N, V, 3)`` mm, model space.
        covariance: ``(N, I + E, I + E)`` of the coefficients, see
            :func:`pgnface.fitting.vertex_covariance`.
        noise: ``(N,)`` standard deviation of a coordinate of a point of weight 1, as given or as
            estimated; in the unit of the points.
        residual: ``(N,)`` weighted root mean square distance of the fit from the points.
    """

    identity: Tensor
    expression: Tensor
    pose: Pose
    vertices: Tensor
    covariance: Tensor
    noise: Tensor
    residual: Tensor


def fit_landmarks(
    model: MorphableModel,
    points: Tensor,
    vertex_ids: Tensor | None = None,
    *,
    noise: float | Tensor | None = None,
    weights: Tensor | None = None,
    expression_std: float | Tensor = 0.3,
    residual_std: float = 0.0,
    pose: Pose | None = None,
    iterations: int = 10,
) -> LandmarkFit:
    """The faces that points most probably belong to, and the posterior's covariance.

    With the pose (s, R, t), points ``y_k = s F R (mean_k + B_k c) + t + e_k`` (x and y of it for 2D
    points), coefficients ``c ~ N(0, D^2)`` and noise ``e_k ~ N(0, sigma_k^2 I)`` the posterior is
    normal with ``covariance = (A^T W A + D^-2)^-1`` and ``mean = covariance A^T W (y - y0)``: ridge
    regression, where all noise is equal. An unknown pose is first solved in turn with the shape, in
    closed form (depths of 2D points are those of the shape so far), and then moved together with it
    by Gauss-Newton steps, so that the covariance also holds what the pose leaves open.

    Args:
        model: the face model.
        points: ``(N, K, 3)`` in any right-handed frame and unit (image space, or a scan's), or
            ``(N, K, 2)`` pixels under weak perspective. Those of weight 0 may be NaN.
        vertex_ids: ``(K,)`` the vertices that they are; the model's 68 landmarks by default. On a
            photo, contour points of a turned face are not the jaw's vertices: give them weight 0.
        noise: standard deviation of a coordinate in the unit of the points: one number, ``(K,)``
            or ``(N, K)``. None: one number for each face is estimated (MacKay's fixed point, where
            EM would also end), for which there must be clearly more coordinates than the 6 or 7
            unknowns of the pose.
        weights: ``(K,)`` or ``(N, K)``: the variance of a point is ``noise^2 / weight``. 0 leaves
            it out.
        expression_std: prior standard deviation of the expressions, one or ``(E,)``.
        residual_std: mm per coordinate that the model's modes leave out (the sigma of PPCA); added
            to a given noise.
        pose: the known pose, ``(N,)``; found when missing.
        iterations: Gauss-Newton steps.

    Gradients flow to points, noise, weights and pose. Computed in float64; results have the dtype
    of the points.

    Raises:
        TypeError: for points that are not floating point.
        ValueError: for wrong shapes, ids out of range, values that are not finite, or noise or
            priors that are not above 0.
    """
    batch, count, axes = _check_points(points)
    ids = model.landmarks if vertex_ids is None else _check_ids(vertex_ids, model.vertex_count)
    if len(ids) != count:
        raise ValueError(f"points: expected {len(ids)} points as in vertex_ids, got {count}")
    share = _spread_out("weights", 1.0 if weights is None else weights, points, batch, count)
    if bool((share < 0).any()):
        raise ValueError(f"weights must not be negative, got {float(share.min()):g}")
    if bool((~points.isfinite().all(-1) & (share > 0)).any()):
        raise ValueError("points: expected finite values where the weight is not 0")
    if noise is not None:
        noise = _spread_out("noise", noise, points, batch, count)
        if bool((noise <= 0).any()):
            raise ValueError(f"noise must be above 0, got {float(noise.min()):g}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    problem = _Problem(model, ids, points, share, noise, expression_std, residual_std, axes)
    posterior, pose, sigma, residual = problem.solve(pose, iterations)
    dtype = points.dtype
    identity, expression = posterior.mean.to(dtype).split(
        (model.identity_count, model.expression_count), dim=1
    )
    mean, basis = model.mean.to(dtype), model.basis.to(dtype)
    vertices = mean + torch.einsum("np,pvc->nvc", posterior.mean.to(dtype), basis)
    return LandmarkFit(
        identity,
        expression,
        Pose(*(part.to(dtype) for part in pose)),
        vertices,
        posterior.covariance.to(dtype),
        sigma.to(dtype),
        residual.to(dtype),
    )


class _Problem:
    """One batch of points in float64, and the state of its noise."""

    def __init__(self, model, ids, points, share, noise, expression_std, residual_std, axes):
        self.mean, self.basis = model.mean[ids].double(), model.basis[:, ids].double()
        self.axes, self.share, self.noise = axes, share, noise
        self.points = torch.where(share[..., None] > 0, points, 0).double()
        self.residual_std = residual_std
        self.spread = self._spread(model, expression_std)
        seen = share[..., None] > 0
        extent = torch.where(seen, self.points, -torch.inf).amax((1, 2))
        extent = extent - torch.where(seen, self.points, torch.inf).amin((1, 2))
        self.least = (_LEAST_NOISE * extent.detach()).clamp(min=1e-12)
        # Before anything is fitted, a coordinate is off by some hundredths of the face.
        self.sigma = 1000 * self.least if noise is None else noise.mean(1)

    def solve(self, known: Pose | None, steps: int):
        pose = self._first_pose() if known is None else Pose(*(part.double() for part in known))
        shape = self.points.new_zeros(len(self.points), len(self.basis))
        if known is None:
            for _ in range(_ALTERNATIONS):
                shape = self._posterior(shape, pose, free=False)[0].mean
                pose = self._pose_of(shape, pose)
        for _ in range(steps):
            posterior, residual = self._posterior(shape, pose, free=known is None)
            shape, pose = posterior.mean, move_pose(pose, posterior.step)
        return posterior, pose, self.sigma, residual

    def _posterior(self, shape: Tensor, pose: Pose, *, free: bool) -> tuple[Posterior, Tensor]:
        """Of the shape given the pose, or of both; and the RMS distance that remains."""
        now, by_shape, by_pose = linearise(self.mean, self.basis, shape, pose, self.axes)
        target = self.points.flatten(1) - now + (by_shape @ shape[..., None])[..., 0]
        precision = self._precision(pose).repeat_interleave(self.axes, dim=1)
        if free:
            volume = volume_gradient(by_shape, self.basis, pose, precision, self.spread)
            got = solve_posterior(by_shape, by_pose, target, precision, self.spread, volume)
        else:
            got = solve_posterior(by_shape, None, target, precision, self.spread)
        left = target - (by_shape @ got.mean[..., None])[..., 0]
        left = left - (by_pose @ got.step[..., None])[..., 0]
        share = self.share.repeat_interleave(self.axes, dim=1)
        square = (share * left.square()).sum(1)
        if self.noise is None:
            freedom = ((share > 0).sum(1) - got.determined).clamp(min=1)
            self.sigma = torch.maximum((square / freedom).sqrt(), self.least)
        return got, (self.axes * square / share.sum(1).clamp(min=1e-300)).sqrt()

    def _precision(self, pose: Pose) -> Tensor:
        """One over the variance of each point's coordinates ``(N, K)``."""
        if self.noise is None:
            return self.share / self.sigma.square()[:, None]
        own = (pose.scale[:, None] * self.residual_std).square() * self.share
        return self.share / (self.noise.square() + own)

    def _pose_of(self, shape: Tensor, pose: Pose) -> Pose:
        """The best pose of a shape; unseen depths are where the last pose puts them."""
        source = self.mean + torch.einsum("np,pkc->nkc", shape, self.basis)
        target = self.points
        if self.axes == 2:
            target = torch.cat((target, apply_pose(pose, source)[..., 2:]), dim=-1)
        return self._flat(solve_head_pose(source, target, self._precision(pose)))

    def _first_pose(self) -> Pose:
        """The pose of the mean face; of 2D points by the affine map nearest to theirs."""
        if self.axes == 3:
            return solve_head_pose(self.mean, self.points, self.share)
        total = self.share.sum(1)[:, None, None]
        weight = self.share[..., None] / total
        centre = (weight * self.points).sum(1, keepdim=True)
        source = self.mean - (weight * self.mean).sum(1, keepdim=True)
        target = self.points - centre
        second = source.transpose(1, 2) @ (weight * source)
        size = (
            (weight * target.square()).sum((1, 2)) / (weight * source[..., :2].square()).sum((1, 2))
        ).sqrt()
        frontal = target.new_tensor([[1.0, 0, 0], [0, -1, 0]]) * size[:, None, None]
        pull = _FRONTAL * second.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        cross = target.transpose(1, 2) @ (weight * source) + pull * frontal
        affine = cross @ torch.linalg.inv(second + pull * torch.eye(3).to(second))
        third = torch.linalg.cross(affine[:, 0], affine[:, 1], dim=-1)
        third = third / affine.norm(dim=-1).prod(1)[:, None].sqrt().clamp(min=1e-12)
        whole = torch.cat((affine, third[:, None]), 1)
        flat = torch.cat((centre, torch.zeros_like(centre[..., :1])), -1)
        return self._flat(
            solve_head_pose(self.mean, source @ whole.transpose(1, 2) + flat, self.share)
        )

    def _flat(self, pose: Pose) -> Pose:
        """Nothing says how deep 2D points lie."""
        if self.axes == 3:
            return pose
        seen = torch.tensor([1.0, 1.0, 0.0]).to(pose.translation)
        return pose._replace(translation=pose.translation * seen)

    @staticmethod
    def _spread(model: MorphableModel, expression_std: float | Tensor) -> Tensor:
        spread = model.mean.new_ones(len(model.basis)).double()
        given = torch.as_tensor(expression_std).to(spread)
        if given.dim() > 1 or (given.dim() == 1 and len(given) != model.expression_count):
            raise ValueError(
                f"expression_std: expected one number or {model.expression_count}, "
                f"got shape {tuple(given.shape)}"
            )
        if bool((given <= 0).any()):
            raise ValueError(f"expression_std must be above 0, got {float(given.min()):g}")
        spread[model.identity_count :] = given
        return spread


def _check_points(points: Tensor) -> tuple[int, int, int]:
    if not isinstance(points, Tensor) or not points.is_floating_point():
        kind = points.dtype if isinstance(points, Tensor) else type(points).__name__
        raise TypeError(f"points: expected a floating-point tensor, got {kind}")
    if points.dim() != 3 or points.shape[2] not in (2, 3):
        raise ValueError(f"points: expected shape (N, K, 2 or 3), got {tuple(points.shape)}")
    return points.shape


def _check_ids(ids: Tensor, count: int) -> Tensor:
    ids = torch.as_tensor(ids)
    if ids.dim() != 1 or ids.is_floating_point():
        raise ValueError(f"vertex_ids: expected integers (K,), got {ids.dtype} {tuple(ids.shape)}")
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < count:
        raise ValueError(
            f"vertex_ids: expected ids from 0 to {count - 1}, got {int(ids.min())} to "
            f"{int(ids.max())}"
        )
    return ids.long()


def _spread_out(name: str, value, points: Tensor, batch: int, count: int) -> Tensor:
    """A number, ``(K,)`` or ``(N, K)`` as ``(N, K)`` in float64."""
    value = torch.as_tensor(value, device=points.device).double()
    if value.dim() > 2 or not bool(value.isfinite().all()):
        raise ValueError(f"{name}: expected finite values of shape (), (K,) or (N, K)")
    try:
        return value.expand(batch, count)
    except RuntimeError:
        raise ValueError(
            f"{name}: expected one number, ({count},) or ({batch}, {count}), "
            f"got {tuple(value.shape)}"
        ) from None
