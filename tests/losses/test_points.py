"""Losses of points and coefficients: minimum, degenerate input, masks."""

import pytest
import torch

from pgnface import losses
from pgnface.geometry import Pose, rotation_from_angles
from pgnface.morphable import UVAtlas
from tests.models import tiny_model


def is_minimum(loss, at, moves=20, size=0.1):
    """Whether a loss is 0 at a point, positive around it, and falls back to it by its gradient."""
    assert float(loss(at)) == pytest.approx(0, abs=1e-6)
    for _ in range(moves):
        moved = (at + torch.randn_like(at) * size).requires_grad_()
        value = loss(moved)
        value.backward()
        assert value > 0 and torch.isfinite(moved.grad).all()
        assert (moved.grad * (moved - at)).sum() > 0
    return True


def points(*leading):
    return torch.rand(*leading, 68, 3) * 100


class TestLandmarks:
    def test_minimum(self):
        target = points(2)
        weights = torch.rand(2, 68, 3)
        assert is_minimum(lambda p: losses.landmark_loss(p, target, weights, 100.0), target)

    def test_does_not_depend_on_resolution(self):
        a, b, weights = points(2), points(2), torch.ones(2, 68, 3)
        small = losses.landmark_loss(a, b, weights, torch.tensor([100.0, 100.0]))
        large = losses.landmark_loss(a * 3, b * 3, weights, torch.tensor([300.0, 300.0]))
        torch.testing.assert_close(small, large)

    def test_depth_is_relative(self):
        a = points(2)
        weights = torch.ones(2, 68, 3)
        away = a + torch.tensor([0.0, 0, 50])
        assert losses.landmark_loss(away, a, weights, 100.0) < 1e-6
        weights[:, 5:, 2] = 0  # few known depths
        assert losses.landmark_loss(away, a, weights, 100.0) < 1e-6
        assert losses.landmark_loss(a + torch.tensor([1.0, 0, 0]), a, weights, 100.0) > 1e-4

    def test_faces_are_as_large_as_the_box_of_their_known_points(self):
        corners = torch.tensor([[10.0, 20, 5], [30, 20, -5], [10, 70, 0], [500, 900, 0]])
        weights = torch.ones(4, 3)
        weights[3] = 0
        full = torch.stack((corners, corners, corners, corners))
        every = torch.stack((weights, weights, weights, weights))
        every[1, 1:] = 0  # one point
        every[2] = 0  # none
        every[3, 2:] = 0  # two on a line
        sizes = losses.box_size(full, every, 64.0)
        torch.testing.assert_close(sizes, torch.tensor([1000.0**0.5, 64, 64, 64]))

    def test_unknown_coordinates_do_not_count(self):
        a, b = points(2), points(2)
        weights = torch.ones(2, 68, 3)
        weights[0], weights[1, :, 2] = 0, 0
        b[0], b[1, :, 2] = float("nan"), float("inf")
        a.requires_grad_()
        value = losses.landmark_loss(a, b, weights, 100.0)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(a.grad).all()
        assert (a.grad[0] == 0).all() and (a.grad[1, :, 2] == 0).all()

    def test_robust(self):
        """One outlier pulls with no more than its share."""
        target = points(1)
        p = target.clone()
        p[0, 0, 0] += 1e4
        p[0, 1, 0] += 10
        p.requires_grad_()
        losses.landmark_loss(p, target, torch.ones(1, 68, 3), 100.0).backward()
        torch.testing.assert_close(p.grad[0, 0, 0], p.grad[0, 1, 0])


class TestPositionMap:
    def test_minimum_and_weights(self):
        atlas = UVAtlas(tiny_model(), 16)
        weights = losses.position_map_weights(atlas)
        assert weights.shape == (16, 16) and (weights[~atlas.mask] == 0).all()
        assert float(weights[atlas.mask].mean()) == pytest.approx(1, abs=1e-5)
        assert float(weights.max() / weights[weights > 0].min()) == pytest.approx(16 / 3)
        target = torch.rand(2, 3, 16, 16) * 100
        assert (
            is_minimum(
                lambda p: losses.position_map_loss(p, target, weights, 100.0), target * atlas.mask
            )
            or not atlas.mask.all()
        )

    def test_masked_faces_do_not_count(self):
        a, b = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
        weights = torch.ones(2, 8, 8)
        weights[1] = 0
        one = losses.position_map_loss(a, b, weights, 10.0)
        b[1] = float("nan")
        torch.testing.assert_close(losses.position_map_loss(a, b, weights, 10.0), one)

    def test_depth_is_relative(self):
        a = torch.rand(2, 3, 8, 8)
        away = a + torch.tensor([0.0, 0, 7])[:, None, None]
        assert losses.position_map_loss(away, a, torch.ones(8, 8), 10.0) < 1e-6


class TestCoefficients:
    def test_minimum(self):
        target = torch.randn(3, 4)
        assert is_minimum(lambda c: losses.coefficient_loss(c, target, torch.rand(3)), target)

    def test_shape_loss_is_the_distance_of_the_shapes(self):
        model = tiny_model()
        a, b = torch.randn(2, 5, 7)
        gram = losses.shape_gram(model.basis)
        shapes = [model.vertices(c[:, :4], c[:, 4:]) for c in (a, b)]
        rms = (shapes[0] - shapes[1]).square().sum(-1).mean(-1).sqrt()
        torch.testing.assert_close(losses.shape_loss(a, b, gram), rms.mean(), atol=2e-3, rtol=1e-4)
        assert is_minimum(lambda c: losses.shape_loss(c, b, gram), b)

    def test_vertex_weights(self):
        model = tiny_model()
        one = torch.zeros(model.vertex_count)
        one[7] = 3.0
        gram = losses.shape_gram(model.basis, one)
        torch.testing.assert_close(gram, model.basis[:, 7] @ model.basis[:, 7].T)

    def test_priors(self):
        assert is_minimum(losses.coefficient_prior, torch.zeros(3, 4))
        assert is_minimum(losses.offset_prior, torch.zeros(68, 3))


class TestAgreement:
    def test_landmarks(self):
        target = points(2)
        assert is_minimum(lambda p: losses.landmark_agreement_loss(p, target, 100.0), target)
        weights = torch.zeros(2, 68)
        assert losses.landmark_agreement_loss(points(2), target, 100.0, weights) == 0

    def test_map(self):
        model = tiny_model()
        atlas = UVAtlas(model, 16)
        vertices = model.vertices(torch.randn(2, 4)).requires_grad_()
        position_map = atlas.bake(vertices.detach())
        assert losses.map_agreement_loss(vertices, position_map, atlas, 100.0) == 0
        value = losses.map_agreement_loss(vertices + 3, position_map, atlas, 100.0)
        value.backward()
        assert value.item() == pytest.approx(0.03, rel=1e-3) and vertices.grad.abs().sum() > 0


class TestPose:
    def test_rotation(self):
        target = rotation_from_angles(torch.tensor([[10.0, 20.0, 30.0], [0.0, -70.0, 5.0]]))
        turn = rotation_from_angles(torch.tensor([60.0, 0.0, 0.0]))
        value = losses.rotation_loss(target @ turn, target)
        assert float(value) == pytest.approx(1 - 0.5, abs=1e-5)
        assert is_minimum(lambda r: losses.rotation_loss(r, target), target)
        assert losses.rotation_loss(target @ turn, target, torch.zeros(2)) == 0


class TestConsistency:
    def test_identity(self):
        person = torch.randn(3, 1, 4).expand(3, 2, 4)
        assert losses.identity_consistency_loss(person) == 0
        gram = losses.shape_gram(tiny_model().identity_basis)
        for g in (None, gram):
            identity = torch.randn(3, 2, 4, requires_grad=True)
            value = losses.identity_consistency_loss(identity, g)
            value.backward()
            assert value > 0 and torch.isfinite(identity.grad).all()
            assert losses.identity_consistency_loss(identity, g, torch.zeros(3)) == 0
            assert losses.identity_consistency_loss(torch.randn(3, 1, 4), g) == 0

    def test_equivariance(self):
        """Points of one photo seen through two warps cost nothing, and others do."""
        from pgnface.data.cropping import invert_warp, warp_points

        angle = torch.tensor(0.3)
        turn = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).view(2, 2)
        shift = torch.tensor([[5.0], [-3.0]])
        warps = torch.stack(
            (torch.cat((torch.eye(2), 2 * shift), 1), torch.cat((1.5 * turn, shift), 1))
        ).expand(2, 2, 2, 3)
        photo = points(2, 1).expand(2, 2, 68, 3)
        seen = warp_points(invert_warp(warps), photo)
        same = torch.tensor([True, False])
        assert losses.equivariance_loss(seen, warps, same, 100.0) < 1e-8
        assert is_minimum(
            lambda p: losses.equivariance_loss(
                torch.stack((p, seen[0, 1]))[None], warps[:1], same[:1], 100.0
            ),
            seen[0, 0],
        )
        in_depth = seen + torch.tensor([[0.0, 0, 3], [0, 0, -9]])[:, None]
        assert losses.equivariance_loss(in_depth, warps, same, 100.0) < 1e-8
        moved = seen + torch.rand(2, 68, 3)
        value = losses.equivariance_loss(torch.stack((moved, seen), 1)[0], warps, same, 100.0)
        assert value > 1e-6
        assert losses.equivariance_loss(moved[:, None][0], warps, ~same & same, 100.0) == 0
        assert losses.equivariance_loss(seen[:, :1], warps[:, :1], same, 100.0) == 0


def test_no_faces():
    empty = torch.zeros(0, 68, 3, requires_grad=True)
    value = losses.landmark_loss(empty, empty, empty.detach(), 100.0)
    value.backward()
    assert value == 0
    assert losses.coefficient_loss(torch.zeros(0, 4), torch.zeros(0, 4)) == 0
    assert losses.coefficient_prior(torch.zeros(0, 4)) == 0


def test_weighted_mean():
    values = torch.tensor([1.0, float("nan"), 3.0], requires_grad=True)
    mean = losses.weighted_mean(values, torch.tensor([1.0, 0, 3.0]))
    mean.backward()
    assert mean == 2.5 and values.grad.tolist() == [0.25, 0, 0.75]
    assert losses.weighted_mean(values, torch.zeros(3)) == 0


def test_pose_type_is_accepted():
    """Losses take the members of a Pose, whatever its leading dimensions."""
    pose = Pose(torch.ones(2, 3), torch.eye(3).expand(2, 3, 3, 3), torch.zeros(2, 3, 3))
    assert losses.rotation_loss(pose.rotation, pose.rotation, torch.ones(2, 3)) == 0
