import pytest
import torch

from pgnface.render import RenderOutput, ambient_light, render

from ..models import tiny_model

TRIANGLES = torch.tensor([[0, 1, 2], [0, 2, 3]])
UV = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])


def quad(left=2.0, top=1.0, right=6.0, bottom=5.0, depth=3.0, dtype=torch.float32):
    """A rectangle in image space, facing the viewer; corners go round with UV."""
    corners = [(left, top), (left, bottom), (right, bottom), (right, top)]
    return torch.tensor([[(x, y, depth) for x, y in corners]], dtype=dtype)


def test_quad_is_exact():
    colors = torch.tensor([0.25, 0.5, 1.0]).expand(1, 4, 3)
    background = torch.full((1, 3, 6, 8), 0.1)
    output = render(quad(), TRIANGLES, 6, 8, colors=colors, background=background)
    assert isinstance(output, RenderOutput)
    inside = torch.zeros(6, 8, dtype=torch.bool)
    inside[1:5, 2:6] = True
    assert torch.equal(output.mask[0] > 0, inside)
    torch.testing.assert_close(output.image[0][:, inside], colors[0, :1].T.expand(3, 16))
    torch.testing.assert_close(output.image[0][:, ~inside], torch.full((3, 32), 0.1))
    torch.testing.assert_close(output.depth[0][inside], torch.full((16,), 3.0))
    assert torch.isinf(output.depth[0][~inside]).all()


def test_texture_pixels_land_on_image_pixels():
    texture = torch.rand(1, 3, 4, 4)
    image = render(quad(), TRIANGLES, 6, 8, texture=texture, uv=UV).image
    torch.testing.assert_close(image[:, :, 1:5, 2:6], texture)


def test_one_texture_serves_a_batch():
    output = render(
        torch.cat((quad(), quad(left=3.0, right=7.0))),
        TRIANGLES,
        6,
        8,
        texture=torch.rand(1, 3, 4, 4),
        uv=UV,
    )
    torch.testing.assert_close(output.image[0, :, :, 2:6], output.image[1, :, :, 3:7])


def test_constant_light_scales_the_colours():
    normals = torch.nn.functional.normalize(torch.randn(1, 4, 3), dim=-1)
    light = ambient_light(torch.tensor([[0.5, 1.0, 2.0]]))
    colors, texture = torch.full((1, 4, 3), 0.4), torch.full((1, 3, 2, 2), 0.4)
    for surface in ({"colors": colors}, {"texture": texture, "uv": UV}):
        image = render(quad(), TRIANGLES, 6, 8, normals=normals, shading=light, **surface).image
        torch.testing.assert_close(
            image[0, :, 2, 3], torch.tensor([0.2, 0.4, 0.8]), atol=1e-4, rtol=1e-4
        )


def test_shading_at_vertices():
    shading = torch.tensor([0.5, 0.5, 0.5, 0.5]).reshape(1, 4, 1)
    image = render(quad(), TRIANGLES, 6, 8, colors=torch.ones(4, 3), shading=shading).image
    assert image[0, :, 2, 3].tolist() == pytest.approx([0.5] * 3)


def test_supersampling_covers_pixels_in_part():
    output = render(quad(left=2.5), TRIANGLES, 6, 8, colors=torch.ones(1, 4, 1), supersample=2)
    assert output.mask.shape == (1, 6, 8)
    assert output.mask[0, 2].tolist() == [0, 0, 0.5, 1, 1, 1, 0, 0]
    torch.testing.assert_close(output.image[:, 0], output.mask)
    assert output.depth[0, 2, 2] == 3


def test_background_shows_through_supersampled_edges():
    output = render(
        quad(left=2.5),
        *(TRIANGLES, 6, 8),
        colors=torch.ones(1, 4, 1),
        background=torch.full((1, 1, 6, 8), 0.5),
        supersample=2,
    )
    assert output.image[0, 0, 2].tolist() == [0.5, 0.5, 0.75, 1, 1, 1, 0.5, 0.5]


@pytest.mark.parametrize("lit", [False, True])
def test_gradients_reach_everything_that_is_interpolated(lit):
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        values = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    # Off the pixel centres, so that finite differences do not change what is covered.
    vertices = quad(1.7, 1.2, 6.3, 4.8, dtype=torch.float64)
    vertices = (vertices + torch.tensor([[[0.0], [0.1], [0.2], [0.3]]])).requires_grad_()
    normals = torch.nn.functional.normalize(random(1, 4, 3), dim=-1).detach().requires_grad_()
    light = random(1, 9, 3)

    def draw(vertices, texture, uv, background, normals, light):
        lighting = {"normals": normals, "shading": light} if lit else {}
        return render(
            vertices, TRIANGLES, 6, 8, texture=texture, uv=uv, background=background, **lighting
        ).image

    arguments = (vertices, random(1, 3, 5, 5), random(4, 2), random(1, 3, 6, 8), normals, light)
    assert torch.autograd.gradcheck(draw, arguments, atol=1e-4, eps=1e-7)


def test_gradient_of_vertex_colours():
    colors = torch.rand(1, 4, 3, dtype=torch.float64, requires_grad=True)
    vertices = quad(dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda c: render(vertices, TRIANGLES, 6, 8, colors=c).image, (colors,)
    )


def test_a_model_is_drawn():
    model = tiny_model()
    vertices = torch.stack((model.mean[:, 0], -model.mean[:, 1], -model.mean[:, 2]), -1) / 4 + 32
    output = render(vertices[None], model.triangles, 64, 64, colors=torch.ones(len(vertices), 3))
    assert 0.2 < output.mask.mean() < 0.9


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "exactly one of colors and texture"),
        ({"colors": torch.ones(4, 3), "texture": torch.ones(1, 3, 2, 2)}, "exactly one"),
        ({"texture": torch.ones(1, 3, 2, 2)}, "texture and uv"),
        ({"texture": torch.ones(3, 2, 2), "uv": UV}, r"texture must have shape"),
        ({"colors": torch.ones(4, 3), "normals": torch.ones(1, 4, 3)}, "shading is missing"),
        ({"colors": torch.ones(4, 3), "supersample": 0}, "supersample"),
        ({"colors": torch.ones(4, 3), "background": torch.ones(1, 3, 5, 5)}, r"background.*6, 8"),
        ({"colors": torch.ones(5, 3)}, r"colors.*4 vertices"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        render(quad(), TRIANGLES, 6, 8, **arguments)


def test_silhouettes_pull_on_the_vertices():
    # Moving the right edge of a white quad outwards must brighten the picture.
    vertices = quad().requires_grad_()
    for antialias in (False, True):
        output = render(
            *(vertices, TRIANGLES, 6, 8), colors=torch.ones(1, 4, 1), antialias=antialias
        )
        (gradient,) = torch.autograd.grad(
            (output.image * torch.linspace(0, 1, 8)).sum() + output.mask.sum(), vertices
        )
        assert (gradient[0, 2:, 0].sum() > 1) == antialias
    torch.testing.assert_close(output.image[:, 0], output.mask)
