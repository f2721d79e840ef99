import math

import pytest
import torch

from pgnface import losses
from pgnface.losses.photometric import census_mask


def images(batch=2, size=16):
    return torch.rand(batch, 3, size, size)


@pytest.mark.parametrize("alpha", [2, 1, 0, -2, -math.inf])
def test_penalty(alpha):
    """Equations 1 to 7 of Barron 2019, and the slope at zero that they share."""
    x = torch.linspace(-1, 1, 41, dtype=torch.float64, requires_grad=True)
    value = losses.robust_penalty(x, alpha, 0.5)
    square = (x / 0.5).square()
    expected = {
        2: square / 2,
        1: (square + 1).sqrt() - 1,
        0: (square / 2 + 1).log(),
        -2: 2 * square / (square + 4),
        -math.inf: 1 - (-square / 2).exp(),
    }[alpha]
    torch.testing.assert_close(value, expected)
    (grad,) = torch.autograd.grad(value.sum(), x)
    assert (grad * x >= 0).all() and torch.isfinite(grad).all()


@pytest.mark.parametrize("loss", [losses.robust_loss, losses.census_loss])
class TestBoth:
    def test_minimum(self, loss):
        target = images()
        image = target.clone().requires_grad_()
        value = loss(image, target)
        value.backward()
        assert value == 0 and torch.isfinite(image.grad).all()
        assert loss(target + 0.05 * torch.randn_like(target), target) > 1e-4

    def test_descent_leads_to_the_target(self, loss):
        target = images(1)
        image = (target + 0.02 * torch.randn_like(target)).requires_grad_()
        optimizer = torch.optim.Adam([image], lr=2e-3)
        start = loss(image, target).item()
        for _ in range(40):
            optimizer.zero_grad()
            value = loss(image, target)
            value.backward()
            optimizer.step()
        assert value < start / 3

    def test_mask(self, loss):
        target, other = images(), images()
        mask = torch.zeros(2, 16, 16, dtype=torch.bool)
        assert loss(other, target, mask) == 0
        mask[1, 4:12, 4:12] = True
        image = other.clone().requires_grad_()
        loss(image, target, mask).backward()
        assert (image.grad[0] == 0).all() and (image.grad[1, :, :3] == 0).all()
        assert image.grad[1].abs().sum() > 0
        spoilt = other.clone()
        spoilt[0] = float("nan")
        torch.testing.assert_close(loss(spoilt, target, mask), loss(other, target, mask))

    def test_flat_images_have_finite_gradients(self, loss):
        image = torch.zeros(1, 3, 8, 8, requires_grad=True)
        loss(image, torch.zeros(1, 3, 8, 8)).backward()
        assert torch.isfinite(image.grad).all()


def test_census_ignores_brightness_and_gain():
    target = images()
    changed = losses.census_loss(1.5 * target + 0.2, target)
    shuffled = losses.census_loss(images(), target)
    assert losses.census_loss(target + 0.2, target) < 1e-8
    assert changed < shuffled / 20


def test_census_takes_grey_images():
    assert losses.census_loss(torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9)) > 0


def test_census_needs_grey_or_rgb():
    with pytest.raises(ValueError, match=r"1 \(grey\) or 3 \(RGB\) channels .* \(1, 2, 9, 9\)"):
        losses.census_loss(torch.rand(1, 2, 9, 9), torch.rand(1, 2, 9, 9))


def test_census_mask_keeps_whole_windows():
    mask = torch.zeros(1, 9, 9)
    mask[:, 2:8, 1:9] = 1
    expected = torch.zeros(1, 9, 9)
    expected[:, 4:6, 3:7] = 1
    image = torch.zeros(1, 3, 9, 9)
    assert torch.equal(census_mask(image, mask, 2), expected)
    assert census_mask(image, None, 2).sum() == 25
