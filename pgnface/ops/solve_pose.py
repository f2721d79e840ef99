"""Closed-form similarity between corresponding points (weighted Procrustes)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import launch, needs_gradient, register, runs_as_it_is


class Similarity(NamedTuple):
    """``target ~ scale * rotation @ source + translation``.

    Attributes:
        scale: ``(N,)``, never negative.
        rotation: ``(N, 3, 3)`` with determinant +1.
        translation: ``(N, 3)``.
        residual: ``(N,)`` weighted root mean square distance that remains, in units of the target.
    """

    scale: Tensor
    rotation: Tensor
    translation: Tensor
    residual: Tensor


def solve_pose(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Similarity:
    """The similarity that best maps one set of points onto another (Umeyama, PAMI 1991).

    Minimises ``sum_k w_k |target_k - (scale * rotation @ source_k + translation)|^2``. No axis is
    flipped; for a head pose see :func:`pgnface.geometry.solve_head_pose`.

    Args:
        source: ``(N, K, 3)``.
        target: ``(N, K, 3)``.
        weights: ``(N, K)``, ones when left out. Points of weight zero are ignored whatever their
            coordinates; a negative weight counts as zero.

    Returns:
        The similarity, its residual with it. Where the points leave it open:

        * no weight at all (also K = 0): scale 1, identity, translation 0, residual 0;
        * sources that coincide (also a single point): scale 1, identity rotation, and the
          translation between the means;
        * targets that coincide: scale 0, identity rotation;
        * collinear points: of the best rotations the one nearest to the identity;
        * planar, mirrored or symmetric points: a best rotation, always with determinant +1;
        * a value that is not finite: NaN throughout that item; the other items are untouched.

    Gradients flow to source, target and weights, through all four results. They are analytic and
    finite for finite input: a direction in which the rotation is not determined (or jumps, as for
    a mirrored target whose two smallest extents are equal) gets no gradient, and the residual has
    none where it is zero.

    Raises:
        ValueError: for a wrong shape.
    """
    op = "solve_pose"
    if runs_as_it_is(source, target, weights) and _fit_together(source, target, weights):
        return Similarity(*_solve(source, target, weights, None))
    require_shape(op, "source", source, "N, K, 3")
    batch, count = source.shape[:2]
    require_shape(op, "target", target, "N, K, 3", N=batch, K=count)
    if weights is not None:
        require_shape(op, "weights", weights, "N, K", N=batch, K=count)
    points = prepare(op, source=source, target=target, weights=weights)
    differentiable = needs_gradient(*points)
    return Similarity(*_forward(*points, differentiable)[:4])


def _fit_together(source: Tensor, target: Tensor, weights: Tensor | None) -> bool:
    shape = source.shape
    return (
        len(shape) == 3
        and shape[2] == 3
        and target.shape == shape
        and (weights is None or weights.shape == shape[:2])
    )


_STATE = 25  # doubles an item that the gradient needs, kPoseState of csrc/solve_pose/pose_fit.h


def _solve(source, target, weights, state):
    batch, count, _ = source.shape
    new = source.new_empty
    results = new(batch), new(batch, 3, 3), new(batch, 3), new(batch)
    launch("solve_pose_forward", source, target, weights, *results, state, batch, count)
    return results


def _empty_state(source, differentiable):
    batch = source.shape[0] if differentiable else 0
    return source.new_empty(batch, _STATE, dtype=torch.float64)


def _forward_kernel(source, target, weights=None, differentiable=True):
    state = _empty_state(source, differentiable)
    return *_solve(source, target, weights, state if differentiable else None), state


def _empty_results(source, target, weights=None, differentiable=True):
    batch, new = source.shape[0], source.new_empty
    state = _empty_state(source, differentiable)
    return new(batch), new(batch, 3, 3), new(batch, 3), new(batch), state


def _empty_gradients(source, weights):
    grad_weights = source.new_empty(0) if weights is None else torch.empty_like(weights)
    return torch.empty_like(source), torch.empty_like(source), grad_weights


def _backward_kernel(grad_scale, grad_rotation, grad_translation, grad_residual, *saved):
    source, target, weights, state = saved
    gradients = _empty_gradients(source, weights)
    batch, count, _ = source.shape
    grads = (grad_scale, grad_rotation, grad_translation, grad_residual)
    launch(
        "solve_pose_backward",
        *(None if grad is None else grad.contiguous() for grad in grads),
        *(source, target, weights, state),
        *(*gradients[:2], None if weights is None else gradients[2]),
        *(batch, count),
    )
    return gradients


def _setup(ctx, inputs, output):
    source, target, weights = (*inputs, None)[:3]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[4])
    ctx.save_for_backward(source, target, weights, output[4])


def _autograd(ctx, *grads):
    source, target, weights, state = ctx.saved_tensors
    if state.shape[0] != source.shape[0]:
        raise RuntimeError("pgnface::solve_pose was called with differentiable=False")
    gradients = _backward(*grads[:4], source, target, weights, state)
    # torch drops trailing arguments that have their default, so there may be fewer needs.
    needs = ctx.needs_input_grad
    return tuple(gradients[i] if i < 3 and wanted else None for i, wanted in enumerate(needs))


_backward = register(
    "solve_pose_backward(Tensor? grad_scale, Tensor? grad_rotation, Tensor? grad_translation,"
    " Tensor? grad_residual, Tensor source, Tensor target, Tensor? weights, Tensor state)"
    " -> (Tensor, Tensor, Tensor)",
    _backward_kernel,
    lambda *arguments: _empty_gradients(arguments[4], arguments[6]),
)
_forward = register(
    "solve_pose(Tensor source, Tensor target, Tensor? weights=None, bool differentiable=True)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _forward_kernel,
    _empty_results,
    _autograd,
    _setup,
)
