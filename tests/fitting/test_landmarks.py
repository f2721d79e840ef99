"""Faces from sparse points: the posterior by other arithmetic, and intervals that hold."""

import numpy as np
import pytest
import torch

from pgnface.fitting import confidence_radius, fit_landmarks, vertex_covariance
from pgnface.geometry import Pose, apply_pose, rotation_distance, rotation_from_angles
from pgnface.morphable import MorphableModel
from tests.models import tiny_model

EXPRESSION_STD = 0.3


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def people(model, count, *, noise, axes, yaw=30.0, seed=0):
    """Coefficients from the prior, their vertices, random poses and noisy landmarks."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    identity = normal(count, model.identity_count)
    expression = EXPRESSION_STD * normal(count, model.expression_count)
    angles = normal(count, 3).clamp(-2, 2) * torch.tensor([7.0, yaw / 2, 7.0]).double()
    pose = Pose(
        1.5 + 0.2 * normal(count).clamp(-2, 2),
        rotation_from_angles(angles),
        torch.cat((150 + 10 * normal(count, 2), torch.zeros(count, 1).double()), 1),
    )
    vertices = model.mean.double() + torch.einsum(
        "np,pvc->nvc", torch.cat((identity, expression), 1), model.basis.double()
    )
    points = apply_pose(pose, vertices[:, model.landmarks])
    points = points + noise * normal(*points.shape)
    return vertices, pose, points[..., :axes]


def coverage(model, fit, vertices, residual_std=0.0):
    radius = confidence_radius(vertex_covariance(model, fit.covariance, residual_std=residual_std))
    return float(((fit.vertices - vertices).norm(dim=-1) <= radius).double().mean())


def test_posterior_mean_is_ridge_regression_when_the_pose_is_known(model):
    _, pose, points = people(model, 3, noise=2.0, axes=3)
    fit = fit_landmarks(model, points, noise=2.0, pose=pose, expression_std=1.0)
    for i in range(3):
        rotation = np.diag([1, -1, -1]) @ pose.rotation[i].numpy() * float(pose.scale[i])
        design = (model.basis[:, model.landmarks].double().numpy() @ rotation.T).reshape(7, -1).T
        mean = model.mean[model.landmarks].double().numpy() @ rotation.T
        target = (points[i].numpy() - mean - pose.translation[i].numpy()).ravel()
        normal = design.T @ design + 4.0 * np.eye(7)
        want = np.linalg.solve(normal, design.T @ target)
        np.testing.assert_allclose(torch.cat((fit.identity, fit.expression), 1)[i], want, rtol=1e-8)
        np.testing.assert_allclose(fit.covariance[i], 4.0 * np.linalg.inv(normal), rtol=1e-7)


@pytest.mark.parametrize("axes", [2, 3])
def test_same_optimum_as_adam_and_lbfgs_on_the_objective(model, axes):
    _, start, points = people(model, 1, noise=1.0, axes=axes)
    fit = fit_landmarks(model, points, noise=1.0, expression_std=EXPRESSION_STD, iterations=15)
    spread = torch.tensor([1.0] * 4 + [EXPRESSION_STD] * 3).double()
    shape = torch.zeros(1, 7, dtype=torch.float64, requires_grad=True)
    columns = torch.cat(  # the first two rows of the rotation, made orthogonal: Zhou et al. 2019
        (start.rotation[:, 0], start.rotation[:, 1], start.scale[:, None].log()), 1
    ).requires_grad_()
    shift = (start.translation / 100).clone().requires_grad_()

    def objective():
        a = torch.nn.functional.normalize(columns[:, :3], dim=1)
        b = columns[:, 3:6] - (columns[:, 3:6] * a).sum(1, keepdim=True) * a
        b = torch.nn.functional.normalize(b, dim=1)
        rotation = torch.stack((a, b, torch.linalg.cross(a, b)), 1)
        pose = Pose(columns[:, 6].exp(), rotation, 100 * shift)
        x = model.mean.double() + torch.einsum("np,pvc->nvc", shape * spread, model.basis.double())
        image = apply_pose(pose, x[:, model.landmarks])[..., :axes]
        linear = (pose.scale[:, None, None] * pose.image_rotation)[0, :axes]
        whitened = spread[:, None, None] * model.basis[:, model.landmarks].double()
        design = torch.einsum("ac,pkc->kap", linear, whitened).flatten(0, 1)
        # The integral over all shapes: what makes the pose the most probable one of its own.
        volume = torch.logdet(design.T @ design + torch.eye(7).double())
        return (image - points).square().sum() + shape.square().sum() + volume

    def step(optimizer):
        optimizer.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    unknowns = [shape, columns, shift]
    adam = torch.optim.Adam(unknowns, lr=0.02)
    for _ in range(400):
        adam.step(lambda: step(adam))
    newton = torch.optim.LBFGS(
        unknowns,
        max_iter=500,
        tolerance_change=0,
        tolerance_grad=1e-7,
        line_search_fn="strong_wolfe",
    )
    newton.step(lambda: step(newton))
    got = torch.cat((fit.identity, fit.expression), 1)
    torch.testing.assert_close(got, (shape * spread).detach(), atol=2e-3, rtol=0)


def test_scale_is_not_overestimated_with_many_modes():
    """The most probable pair of pose and shape has a scale that is some per cent too large."""
    tiny = tiny_model()
    modes = torch.randn(60, *tiny.mean.shape)
    model = MorphableModel(
        *(tiny.mean, modes, tiny.expression_basis[:0], tiny.triangles, tiny.uv, tiny.landmarks)
    )
    vertices, pose, points = people(model, 60, noise=2.0, axes=3)
    fit = fit_landmarks(model, points, noise=2.0)
    log_ratio = (fit.pose.scale / pose.scale).log()
    assert log_ratio.mean().abs() < 3 * log_ratio.std() / 60**0.5
    assert 0.93 < coverage(model, fit, vertices) < 0.97


@pytest.mark.parametrize(
    ("axes", "known_pose", "known_noise"),
    [(3, True, True), (3, False, True), (2, True, True), (2, False, True), (2, False, False)],
)
def test_the_stated_interval_holds_the_truth(model, axes, known_pose, known_noise):
    vertices, pose, points = people(model, 250, noise=1.5, axes=axes)
    fit = fit_landmarks(
        model,
        points,
        noise=1.5 if known_noise else None,
        pose=pose if known_pose else None,
        expression_std=EXPRESSION_STD,
        iterations=15,
    )
    assert 0.93 < coverage(model, fit, vertices) < 0.97
    torch.testing.assert_close(fit.noise.mean().item(), 1.5, atol=0.05, rtol=0)
    if not known_pose:
        # Asymmetry of the face and yaw are hard to tell apart, so single faces are off by more.
        assert rotation_distance(fit.pose.rotation, pose.rotation).median() < 3


def test_interval_of_what_the_modes_leave_out():
    """The truth has noise of its own at each vertex, the sigma of PPCA."""
    model = tiny_model()
    vertices, pose, points = people(model, 150, noise=1e-9, axes=3)
    own = 0.8 * torch.randn(vertices.shape, dtype=torch.float64)
    vertices = vertices + own
    points = apply_pose(pose, vertices[:, model.landmarks]) + torch.randn(points.shape).double()
    ids = torch.ones(model.vertex_count, dtype=torch.bool)
    ids[model.landmarks] = False  # of the observed vertices more is known
    fit = fit_landmarks(model, points, noise=1.0, residual_std=0.8, expression_std=EXPRESSION_STD)
    radius = confidence_radius(vertex_covariance(model, fit.covariance, residual_std=0.8))
    inside = ((fit.vertices - vertices).norm(dim=-1) <= radius)[:, ids]
    assert 0.93 < float(inside.double().mean()) < 0.97


def test_fewer_points_leave_more_uncertainty_and_bad_points_can_be_left_out(model):
    _, pose, points = people(model, 4, noise=1.0, axes=3)
    options = {"noise": 1.0, "pose": pose}
    every = fit_landmarks(model, points, **options)
    eyes = slice(36, 48)
    few = fit_landmarks(model, points[:, eyes], model.landmarks[eyes], **options)
    weights = torch.zeros(68)
    weights[eyes] = 1
    broken = points.clone()
    broken[:, 0] = torch.nan
    weighted = fit_landmarks(model, broken, weights=weights, **options)
    torch.testing.assert_close(weighted.vertices, few.vertices)
    torch.testing.assert_close(weighted.covariance, few.covariance)
    radius = [confidence_radius(vertex_covariance(model, f.covariance)) for f in (every, few)]
    assert (radius[1] > radius[0]).all()


def test_faces_of_a_batch_do_not_touch_each_other(model):
    _, _, points = people(model, 3, noise=1.0, axes=2)
    together = fit_landmarks(model, points)
    alone = fit_landmarks(model, points[1:2])
    torch.testing.assert_close(together.vertices[1:2], alone.vertices)
    torch.testing.assert_close(together.noise[1:2], alone.noise)


@pytest.mark.parametrize("axes", [2, 3])
def test_single_precision_gives_the_same_face(model, axes):
    _, _, points = people(model, 2, noise=1.0, axes=axes)
    double, single = (fit_landmarks(model, p, noise=1.0) for p in (points, points.float()))
    assert single.vertices.dtype == torch.float32 and double.vertices.dtype == torch.float64
    torch.testing.assert_close(single.vertices.double(), double.vertices, atol=1e-2, rtol=0)


def test_turned_faces_find_their_pose_from_two_dimensions(model):
    """Starts far from frontal: the affine start, not the frontal pose, must lead there."""
    for yaw in (-75.0, -40.0, 40.0, 75.0):
        pose = Pose(
            torch.tensor([2.0]).double(),
            rotation_from_angles(torch.tensor([[10.0, yaw, 15.0]]).double()),
            torch.tensor([[100.0, 120.0, 0.0]]).double(),
        )
        points = apply_pose(pose, model.mean.double()[model.landmarks])[..., :2]
        fit = fit_landmarks(model, points, noise=0.5)
        assert rotation_distance(fit.pose.rotation, pose.rotation) < 0.5
        torch.testing.assert_close(fit.pose.translation, pose.translation, atol=0.5, rtol=0)


@pytest.mark.parametrize("axes", [2, 3])
def test_gradients_of_points_and_noise(model, axes):
    _, _, points = people(model, 2, noise=1.0, axes=axes)
    some = torch.arange(17, 68, 4)
    noise = torch.full((2, len(some)), 1.3, dtype=torch.float64, requires_grad=True)

    def fitted(points, noise):
        fit = fit_landmarks(model, points, model.landmarks[some], noise=noise, iterations=3)
        return fit.identity, fit.expression, fit.pose.scale, fit.covariance

    points = points[:, some].requires_grad_()
    assert torch.autograd.gradcheck(fitted, (points, noise), atol=1e-5, fast_mode=True)


def test_radius_is_the_quantile_of_the_error():
    generator = torch.Generator().manual_seed(0)
    for spread in ([1.0, 1.0, 1.0], [3.0, 1.0, 0.5], [2.0, 0.0, 0.0]):
        spread = torch.tensor(spread).double()
        errors = torch.randn(200_000, 3, generator=generator, dtype=torch.float64) * spread
        for confidence in (0.9, 0.95, 0.99):
            want = errors.norm(dim=-1).quantile(confidence)
            got = confidence_radius(torch.diag(spread**2), confidence)
            torch.testing.assert_close(got, want, rtol=0.02, atol=0)
    assert confidence_radius(torch.zeros(3, 3)) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"points": torch.zeros(68, 2)}, ValueError, "expected shape .N, K, 2 or 3."),
        ({"points": torch.zeros(1, 68, 2).long()}, TypeError, "floating-point tensor"),
        ({"points": torch.zeros(1, 5, 2)}, ValueError, "expected 68 points"),
        ({"points": torch.full((1, 68, 2), torch.nan)}, ValueError, "finite values where"),
        ({"vertex_ids": torch.arange(68) + 200}, ValueError, "expected ids from 0 to 220"),
        ({"noise": 0.0}, ValueError, "noise must be above 0"),
        ({"noise": torch.ones(7)}, ValueError, "noise: expected one number, .68,. or .1, 68."),
        ({"weights": -1.0}, ValueError, "weights must not be negative"),
        ({"expression_std": torch.ones(2)}, ValueError, "expected one number or 3"),
        ({"expression_std": 0.0}, ValueError, "expression_std must be above 0"),
        ({"iterations": 0}, ValueError, "iterations must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(model, change, error, message):
    arguments = {"points": torch.rand(1, 68, 2), **change}
    with pytest.raises(error, match=message):
        fit_landmarks(model, **arguments)
    with pytest.raises(ValueError, match="confidence must lie between"):
        confidence_radius(torch.eye(3), 1.0)
