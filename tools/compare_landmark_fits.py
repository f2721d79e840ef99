"""The table of docs/fitting.md: faces from 68 noisy points by PPCA, ridge regression and Adam.

    python tools/compare_landmark_fits.py MODEL

Faces are drawn from the model's identities. From 800 of them a model of fewer modes is learnt; 200
others are reconstructed with it, the pose unknown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from pgnface.fitting import confidence_radius, fit_landmarks, vertex_covariance
from pgnface.geometry import Pose, apply_pose, rotation_from_angles, solve_head_pose
from pgnface.morphable import MorphableModel, load_model

_TRAINED, _TESTED, _MODES = 800, 200, 60
_NOISE = 1.5  # pixels
_SCALE = 1.5  # pixels per mm
_ROUNDS = 10
_ADAM_STEPS = 500


def draw_faces(model: MorphableModel, count: int) -> Tensor:
    """Neutral faces ``(count, V, 3)``."""
    return model.vertices(identity=torch.randn(count, model.identity_count)).double()


def learn_model(faces: Tensor, like: MorphableModel) -> tuple[MorphableModel, float]:
    """PPCA of faces ``(N, V, 3)``: the model, and the noise of a coordinate it leaves out."""
    mean = faces.mean(0)
    _, values, modes = torch.linalg.svd((faces - mean).flatten(1), full_matrices=False)
    variances = values.square() / (len(faces) - 1)
    left = float((variances[_MODES:].sum() / (mean.numel() - _MODES)).sqrt())
    basis = modes[:_MODES].reshape(_MODES, *mean.shape) * variances[:_MODES, None, None].sqrt()
    learnt = MorphableModel(
        *(mean, basis, basis[:0], like.triangles, like.uv, like.landmarks),
        name="learnt",
    )
    return learnt, left


def place(faces: Tensor, landmarks: Tensor, axes: int) -> Tensor:
    """Noisy landmarks ``(N, 68, axes)`` of turned faces."""
    count = len(faces)
    angles = torch.randn(count, 3).double().clamp(-2, 2) * torch.tensor([7.0, 15.0, 5.0])
    pose = Pose(
        torch.full((count,), _SCALE, dtype=torch.float64),
        rotation_from_angles(angles.double()),
        torch.full((count, 3), 120.0, dtype=torch.float64),
    )
    points = apply_pose(pose, faces[:, landmarks])
    return (points + _NOISE * torch.randn(points.shape).double())[..., :axes]


def fit_ridge(model: MorphableModel, points: Tensor, penalty: float) -> Tensor:
    """Vertices by ridge regression (penalty in mm^2) in turn with a Procrustes pose."""
    mean = model.mean[model.landmarks].double()
    basis = model.basis[:, model.landmarks].double()
    shape = points.new_zeros(len(points), len(basis))
    target = points
    if points.shape[2] == 2:
        target = torch.cat((points, -_SCALE * mean[:, 2:].expand(len(points), -1, -1)), 2)
    for _ in range(_ROUNDS):
        source = mean + torch.einsum("np,pkc->nkc", shape, basis)
        pose = solve_head_pose(source, target)
        if points.shape[2] == 2:
            target = torch.cat((points, apply_pose(pose, source)[..., 2:]), 2)
        linear = pose.image_rotation[:, : points.shape[2]]
        design = torch.einsum("nac,pkc->nkap", linear, basis).flatten(1, 2)
        shift = pose.translation[:, None, : points.shape[2]]
        right = (points - shift) / pose.scale[:, None, None] - mean @ linear.transpose(1, 2)
        normal = design.transpose(1, 2) @ design + penalty * torch.eye(len(basis)).double()
        moment = design.transpose(1, 2) @ right.flatten(1)[..., None]
        shape = torch.linalg.solve(normal, moment)[..., 0]
    return model.mean.double() + torch.einsum("np,pvc->nvc", shape, model.basis.double())


def fit_adam(model: MorphableModel, points: Tensor) -> Tensor:
    """Vertices by Adam on the joint posterior of shape and pose, from the mean face."""
    count, axes = len(points), points.shape[2]
    mean = model.mean[model.landmarks].double()
    basis = model.basis[:, model.landmarks].double()
    shape = points.new_zeros(count, len(basis), requires_grad=True)
    angles = points.new_zeros(count, 3, requires_grad=True)  # in tens of degrees
    size = points.new_zeros(count, requires_grad=True)
    shift = points.new_zeros(count, 2, requires_grad=True)
    start = points.mean(1)[:, :2]
    start_scale = points[..., :2].std((1, 2)) / mean[:, :2].std()
    depth = points[..., 2:].mean(1) if axes == 3 else points.new_zeros(count, 1)
    optimizer = torch.optim.Adam([shape, angles, size, shift], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _ADAM_STEPS)
    for _ in range(_ADAM_STEPS):
        optimizer.zero_grad()
        pose = Pose(
            start_scale * size.exp(),
            rotation_from_angles(10 * angles),
            torch.cat((start + 20 * shift, depth), 1),
        )
        image = apply_pose(pose, mean + torch.einsum("np,pkc->nkc", shape, basis))[..., :axes]
        left = image - points
        if axes == 3:  # the best shift in depth
            left = torch.cat((left[..., :2], left[..., 2:] - left[..., 2:].mean(1, True)), 2)
        (left.square().sum() / _NOISE**2 + shape.square().sum()).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return model.mean.double() + torch.einsum("np,pvc->nvc", shape, model.basis.double())


def compare(model: MorphableModel, residual: float, faces: Tensor, axes: int) -> None:
    """Print a row of the table for each method."""
    points = place(faces, model.landmarks, axes)

    def row(name: str, fit: Callable[[], Tensor], held: float | None = None) -> None:
        fit()  # a first call allocates and imports
        start = time.perf_counter()
        vertices = fit()
        spent = 1000 * (time.perf_counter() - start) / len(faces)
        error = (vertices - faces).norm(dim=-1).mean()
        coverage = "" if held is None else f"{100 * held:.1f} %"
        print(f"| {axes}D | {name} | {error:.2f} | {spent:.1f} | {coverage} |", flush=True)

    mean = model.mean.double().expand_as(faces)
    row("mean face", lambda: mean)
    for name, noise, own in (
        ("PPCA", _NOISE, residual),
        ("PPCA, noise estimated", None, residual),
    ):
        fit = fit_landmarks(model, points, noise=noise, residual_std=own)
        covariance = vertex_covariance(model, fit.covariance, residual_std=own)
        inside = (fit.vertices - faces).norm(dim=-1) <= confidence_radius(covariance)
        held = float(inside.double().mean())
        row(
            name,
            lambda noise=noise, own=own: (
                fit_landmarks(model, points, noise=noise, residual_std=own).vertices
            ),
            held,
        )
    for penalty in (0.01, 0.1, 1.0, 10.0, 100.0):
        row(f"ridge, {penalty:g}", lambda penalty=penalty: fit_ridge(model, points, penalty))
    row(f"Adam, {_ADAM_STEPS} steps", lambda: fit_adam(model, points))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default", help="face model, default built in")
    torch.manual_seed(0)
    source = load_model(parser.parse_args().model)
    model, residual = learn_model(draw_faces(source, _TRAINED), source)
    print(f"{_MODES} modes of {_TRAINED} faces leave out {residual:.3f} mm a coordinate\n")
    print("| points | method | mean error (mm) | ms a face | truth within 95 % radius |")
    print("|---|---|---|---|---|")
    faces = draw_faces(source, _TESTED)
    for axes in (3, 2):
        compare(model, residual, faces, axes)


if __name__ == "__main__":
    main()
