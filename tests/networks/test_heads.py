import pytest
import torch

from pgnface.networks.heads import ConfidenceHead, PositionMapHead, rotation_from_6d


def test_rotations_of_6d_are_rotations():
    values = torch.randn(50, 6, dtype=torch.float64)
    rotation = rotation_from_6d(values)
    eye = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, eye)
    assert torch.allclose(torch.det(rotation), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(rotation_from_6d(rotation[:, :2].flatten(1)), rotation)
    assert torch.autograd.gradcheck(rotation_from_6d, values.requires_grad_())


@pytest.mark.parametrize("values", [[0.0] * 6, [1.0, 0, 0, 2, 0, 0], [0.0, 0, 0, 1, 0, 0]])
def test_degenerate_6d_is_finite(values):
    values = torch.tensor([values], requires_grad=True)
    rotation = rotation_from_6d(values)
    rotation.sum().backward()
    assert torch.isfinite(rotation).all() and torch.isfinite(values.grad).all()


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_map_sizes(size):
    linear, shift, displacement = PositionMapHead(16, size)(torch.rand(2, 16))
    assert displacement.shape == (2, 3, size, size)
    assert torch.equal(linear, torch.eye(3).expand(2, 3, 3))
    assert (shift == 0).all() and (displacement == 0).all()


def test_confidences_are_positive_and_bounded():
    head = ConfidenceHead(4, 68)
    assert torch.allclose(head(torch.randn(3, 4)), torch.ones(3, 68))
    torch.nn.init.normal_(head.linear.weight, std=100)
    weights = head(torch.randn(3, 4) * 100)
    assert (weights > 0).all() and torch.allclose(weights.mean(1), torch.ones(3))
    assert (weights.amax(1) / weights.amin(1) < 404).all()  # e^6
