"""Vertices of a linear face model (3DMM), posed in the same pass."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import backend_of, launch, register

# Sums over vertices are taken in at most this many chunks, each a multiple of the kernels' block of
# vertices, and then added in order: the same bits for any number of threads.
_MOST_CHUNKS = {"cpu": 64, "cuda": 256}
_BLOCK = {"cpu": 256, "cuda": 64}
_POSE_SUMS = 12


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """Vertices of a linear shape model, and optionally a similarity applied to them.

    ``shape = mean + sum_p coefficients[p] * basis[p]`` (Blanz and Vetter, SIGGRAPH 1999), and with
    a pose ``scale * rotation @ shape + translation``. One pass: the basis is read once for the
    whole batch and the unposed vertices are never stored.

    Args:
        mean: ``(V, 3)``.
        basis: ``(P, V, 3)``; a basis in standard deviations takes coefficients in them.
        coefficients: ``(N, P)``; P may be 0.
        scale: ``(N,)``, optional: all of the pose or none of it.
        rotation: ``(N, 3, 3)``, any matrix; for image space pass ``Pose.image_rotation``.
        translation: ``(N, 3)``.

    Returns:
        ``(N, V, 3)``.

    Gradients flow to every argument; those of mean and basis are computed only when asked for.

    Raises:
        ValueError: for a wrong shape or a pose given in part.
    """
    op = "evaluate_morphable"
    require_shape(op, "mean", mean, "V, 3")
    require_shape(op, "basis", basis, "P, V, 3", V=mean.shape[0])
    require_shape(op, "coefficients", coefficients, "N, P", P=basis.shape[0])
    pose = {"scale": scale, "rotation": rotation, "translation": translation}
    missing = [name for name, value in pose.items() if value is None]
    if len(missing) not in (0, 3):
        raise ValueError(f"{op}: scale, rotation and translation go together; missing {missing}")
    if not missing:
        batch = coefficients.shape[0]
        require_shape(op, "scale", scale, "N", N=batch)
        require_shape(op, "rotation", rotation, "N, 3, 3", N=batch)
        require_shape(op, "translation", translation, "N, 3", N=batch)
    return _forward(*prepare(op, mean=mean, basis=basis, coefficients=coefficients, **pose))


def _sizes(mean: Tensor, coefficients: Tensor) -> tuple[int, int, int]:
    return coefficients.shape[0], mean.shape[0], coefficients.shape[1]


def _forward_kernel(mean, basis, coefficients, scale=None, rotation=None, translation=None):
    output = mean.new_empty(coefficients.shape[0], *mean.shape)
    launch(
        "evaluate_morphable_forward",
        *(mean, basis, coefficients, scale, rotation, translation, output),
        *_sizes(mean, coefficients),
    )
    return output


def _empty_gradients(mean, basis, coefficients, scale, rotation, needs):
    """Gradient tensors; empty ones for what is not asked for."""
    nothing = mean.new_empty
    gradients = [
        torch.zeros_like(mean) if needs[0] else nothing(0),
        torch.zeros_like(basis) if needs[1] else nothing(0),
        torch.empty_like(coefficients) if needs[2] else nothing(0),
    ]
    if scale is None:
        return (*gradients, nothing(0), nothing(0), nothing(0))
    translation = scale.new_empty(scale.shape[0], 3)
    return (*gradients, torch.empty_like(scale), torch.empty_like(rotation), translation)


def _backward_kernel(grad, mean, basis, coefficients, scale, rotation, needs):
    gradients = _empty_gradients(mean, basis, coefficients, scale, rotation, needs)
    batch, vertices, count = _sizes(mean, coefficients)
    block, most_chunks = _BLOCK[backend_of(mean)], _MOST_CHUNKS[backend_of(mean)]
    blocks = -(-vertices // block)
    chunk = max(1, -(-blocks // most_chunks)) * block
    chunks = max(1, -(-vertices // chunk))
    partial = mean.new_empty(chunks, batch, count + _POSE_SUMS)
    asked = (*needs, *(scale is not None,) * 3)
    launch(
        "evaluate_morphable_backward",
        *(grad.contiguous(), mean, basis, coefficients, scale, rotation),
        *(g if wanted else None for g, wanted in zip(gradients, asked, strict=True)),
        *(partial, batch, vertices, count, chunk),
    )
    return gradients


def _setup(ctx, inputs, output):
    mean, basis, coefficients, scale, rotation, _ = inputs
    ctx.save_for_backward(mean, basis, coefficients, scale, rotation)


def _autograd(ctx, grad):
    needs = ctx.needs_input_grad
    gradients = _backward(grad, *ctx.saved_tensors, list(needs[:3]))
    # torch drops trailing arguments that have their default, so there may be fewer needs.
    return tuple(g if wanted else None for g, wanted in zip(gradients, needs, strict=False))


_backward = register(
    "evaluate_morphable_backward(Tensor grad, Tensor mean, Tensor basis, Tensor coefficients,"
    " Tensor? scale, Tensor? rotation, bool[3] needs)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward_kernel,
    lambda grad, mean, basis, coefficients, scale, rotation, needs: _empty_gradients(
        mean, basis, coefficients, scale, rotation, needs
    ),
)
_forward = register(
    "evaluate_morphable(Tensor mean, Tensor basis, Tensor coefficients, Tensor? scale=None,"
    " Tensor? rotation=None, Tensor? translation=None) -> Tensor",
    _forward_kernel,
    lambda mean, basis, coefficients, scale=None, rotation=None, translation=None: mean.new_empty(
        coefficients.shape[0], *mean.shape
    ),
    _autograd,
    _setup,
)
