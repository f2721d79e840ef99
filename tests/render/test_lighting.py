import math

import pytest
import torch
import torch.nn.functional as F

from pgnface.geometry import rotation_from_angles
from pgnface.render import lighting


def directions(count=20000):
    generator = torch.Generator().manual_seed(2)
    return F.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)


def test_constant_light_shades_alike_everywhere():
    color = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    shading = lighting.shade(directions(100), lighting.ambient_light(color))
    torch.testing.assert_close(shading, color.expand(100, 3), atol=1e-5, rtol=1e-5)


def test_basis_is_orthonormal():
    basis = lighting.spherical_harmonics(directions(200000))
    product = 4 * math.pi * basis.T @ basis / len(basis)
    torch.testing.assert_close(product, torch.eye(9, dtype=torch.float64), atol=0.03, rtol=0)


def test_shading_is_the_convolution_with_lamberts_cosine():
    # Radiance within the nine functions is shaded exactly: compare with the integral itself.
    generator = torch.Generator().manual_seed(3)
    coefficients = torch.randn(9, 1, generator=generator, dtype=torch.float64)
    incoming, normals = directions(400000), directions(5)
    radiance = lighting.spherical_harmonics(incoming) @ coefficients
    cosine = (normals @ incoming.T).clamp(min=0)
    integral = 4 * cosine @ radiance / len(incoming)
    torch.testing.assert_close(
        lighting.shade(normals, coefficients), integral, atol=0.02, rtol=0.02
    )


def test_lamp_is_brightest_where_faced():
    up = torch.tensor([0.0, 1.0, 0.0])
    light = lighting.directional_light(up, torch.ones(3))
    facing, side, away = lighting.shade(torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, -1, 0]]), light)
    assert facing[0] == pytest.approx(1.0, abs=0.07)
    assert side[0].abs() < 0.1 and away[0].abs() < 0.1


def test_daylight_is_white_and_tungsten_is_warm():
    white, warm = lighting.color_of_temperature(torch.tensor([6500.0, 3000.0]))
    torch.testing.assert_close(white, torch.ones(3))
    assert warm[0] > 1.5 and warm[2] < 0.6


def test_random_light_depends_on_the_generator_alone():
    first = lighting.random_light(4, torch.Generator().manual_seed(5))
    second = lighting.random_light(4, torch.Generator().manual_seed(5))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert first.coefficients.shape == (4, 9, 3) and torch.isfinite(first.coefficients).all()
    normals = torch.tensor([[0.0, 0.0, 1.0]])
    assert 0.1 < lighting.shade(normals, first.coefficients).mean() < 3


def test_light_turned_with_the_normals_shades_alike():
    light = lighting.random_light(1, torch.Generator().manual_seed(1))
    rotation = rotation_from_angles(torch.tensor([[10.0, 40.0, -20.0]]))
    inside = directions(50).float()[None]
    outside = inside @ rotation.transpose(1, 2)
    torch.testing.assert_close(
        lighting.shade(outside, light.coefficients),
        lighting.shade(inside, light.turned(rotation).coefficients),
        atol=1e-4,
        rtol=1e-4,
    )


def test_gradients():
    normals = directions(3).requires_grad_()
    coefficients = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lighting.shade, (normals, coefficients))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"normals.*\(\.\.\., V, 3\)"):
        lighting.shade(torch.rand(4, 2), torch.rand(9, 3))
    with pytest.raises(ValueError, match=r"coefficients.*9"):
        lighting.shade(torch.rand(4, 3), torch.rand(3, 3))
