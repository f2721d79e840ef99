import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes


def make_case(batch=2, channels=3, **options):
    """An op of (image, vertices), its twin, and arguments for both."""
    vertices, triangles = meshes.soup(batch=batch, **options)
    vertices = vertices.float().double()
    fragments = ops.rasterize(vertices, triangles, 12, 11)
    image = torch.rand(batch, 12, 11, channels, dtype=torch.float64, requires_grad=True)

    def with_function(function):
        def call(image, vertices):
            ids, barycentrics, depth = fragments
            on_device = ops.Fragments(ids.to(image.device), barycentrics.to(image), depth.to(image))
            return function(image, vertices, triangles.to(image.device), on_device)

        return call

    inputs = [image, vertices.requires_grad_()]
    return with_function(ops.edge_gradient), with_function(reference.edge_gradient), inputs


class TestContract:
    def test_matches_twin(self):
        op, twin, inputs = make_case()
        contract.assert_matches_twin(op, twin, inputs)

    @pytest.mark.parametrize("batch", [1, 5])
    def test_threads(self, batch):
        op, _, inputs = make_case(batch=batch)
        contract.assert_thread_counts_agree(op, inputs)

    def test_strides(self):
        op, _, inputs = make_case()
        contract.assert_accepts_strides(op, inputs)

    def test_compile(self):
        op, _, inputs = make_case()
        contract.assert_compiles(op, inputs)

    def test_opcheck(self):
        vertices, triangles = meshes.soup()
        ids, barycentrics, depth = ops.rasterize(vertices, triangles, 12, 11)
        image = torch.rand(2, 12, 11, 3, requires_grad=True)
        inputs = [image, vertices.requires_grad_(), triangles.int(), ids, barycentrics, depth]
        contract.assert_opcheck(torch.ops.pgnface.edge_gradient.default, inputs)

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda(self):
        op, _, inputs = make_case(vertices=100, triangles=100)
        contract.assert_cuda_matches_cpu(op, inputs)


def test_passes_image_and_its_gradient_through():
    op, _, (image, vertices) = make_case()
    result = op(image, vertices)
    assert torch.equal(result, image) and result.data_ptr() != image.data_ptr()
    weights = torch.rand_like(image)
    (grad,) = torch.autograd.grad((result * weights).sum(), image)
    assert torch.equal(grad, weights)


def test_edge_of_a_half_plane():
    """A white half-plane grows by one pixel column's worth of light per pixel of motion."""
    vertices, triangles = meshes.grid(1, 1, 4.3, 8)
    points = vertices[None].requires_grad_()
    fragments = ops.rasterize(points, triangles, 8, 10)
    image = fragments.mask[..., None].double()
    ops.edge_gradient(image, points, triangles, fragments).sum().backward()
    assert points.grad.sum((0, 1)).tolist() == pytest.approx([8, 0, 0])
    right = vertices[:, 0] > 4
    centre = 3.5 / 4.3  # of the last column drawn: its barycentric weights share the gradient out
    assert points.grad[0, right, 0].sum().item() == pytest.approx(8 * centre)


SIZE = 48


def scene(kind, behind, parameters):
    """A textured ellipse or ellipsoid, placed by (x, y, scale, angle), maybe before a slope."""
    vertices, triangles = meshes.disc(24, 96) if kind == "disc" else meshes.sphere(48, 96)
    u, v = vertices[:, 0], vertices[:, 1]
    colors = torch.stack([0.5 + 0.4 * torch.sin(3 * u + 1), 0.5 + 0.4 * torch.cos(2 * v + u)], -1)
    x, y, scale, angle = parameters
    cos, sin = angle.cos(), angle.sin()
    u, v = scale * u, scale * v * 0.8
    z = vertices[:, 2] * scale.detach()
    points = torch.stack([cos * u - sin * v + x, sin * u + cos * v + y, z], -1)
    if behind:
        slope, more = meshes.grid(30, 30, SIZE + 40.0, SIZE + 40.0)
        slope = slope - torch.tensor([20.0, 20.0, 0.0])
        slope[:, 2] = 40 + 0.2 * slope[:, 0] - 0.1 * slope[:, 1]
        shade = [0.3 + 0.2 * torch.sin(slope[:, 0] / 9), 0.2 + 0.1 * torch.cos(slope[:, 1] / 7)]
        triangles = torch.cat([triangles, more + len(points)])
        points, colors = torch.cat([points, slope]), torch.cat([colors, torch.stack(shade, -1)])
    return points[None], triangles, colors


def unit_grid(size):
    axis = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    return torch.meshgrid(axis, axis, indexing="ij")


def render(points, triangles, colors, samples=1):
    """The picture; with samples > 1 the mean over samples x samples points of each pixel."""
    size = SIZE * samples
    points = points * torch.tensor([samples, samples, 1.0])
    fragments = ops.rasterize(points, triangles, size, size)
    y, x = unit_grid(size)
    background = torch.stack([0.3 * x, 0.1 + 0.2 * y], -1)
    image = ops.interpolate(colors, triangles, fragments)
    image = torch.where(fragments.mask[..., None], image, background)
    if samples == 1:
        return ops.edge_gradient(image, points, triangles, fragments)
    return image.reshape(1, SIZE, samples, SIZE, samples, 2).mean((2, 4))


@pytest.mark.parametrize("behind", [False, True], ids=["background", "surface"])
@pytest.mark.parametrize("kind", ["disc", "sphere"])
def test_total_gradient_agrees_with_a_supersampled_picture(kind, behind, record_property):
    """Interpolation and edges together, against central differences at 64 samples a pixel.

    The mean over sub-pixel positions: one picture alone samples its texture at pixel centres only.
    """
    y, x = unit_grid(SIZE)
    weights = torch.stack([torch.sin(5 * x + 2 * y), 1 + 2 * x * torch.cos(4 * y - x)], -1)
    analytic, numeric = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    steps = torch.tensor([0.25, 0.25, 0.25, 0.03], dtype=torch.float64).diag()
    for k in range(6):
        parameters = torch.tensor(
            [23.1 + 0.618 * k % 1, 22.6 + 0.754 * k % 1, 16.4, 0.5], dtype=torch.float64
        ).requires_grad_()
        loss = (render(*scene(kind, behind, parameters)) * weights).sum()
        analytic += torch.autograd.grad(loss, parameters)[0] / 6
        for step in steps:
            with torch.no_grad():
                high = (render(*scene(kind, behind, parameters + step), 8) * weights).sum()
                low = (render(*scene(kind, behind, parameters - step), 8) * weights).sum()
            numeric += (high - low) / (2 * step.sum()) * (step > 0) / 6
    record_property("analytic", analytic.tolist())
    record_property("numeric", numeric.tolist())
    torch.testing.assert_close(analytic, numeric, rtol=0.05, atol=0.02 * numeric.abs().max().item())


@pytest.mark.parametrize("fineness", [(10, 16), (80, 160)], ids=["coarse", "sub-pixel"])
def test_no_boundary_inside_a_connected_surface(fineness):
    """Random colours a triangle: all gradient must sit at the outline of the sphere."""
    vertices, triangles = meshes.sphere(*fineness)
    points = (vertices * torch.tensor([14.0, 14, 14]) + torch.tensor([16.2, 15.7, 0]))[None]
    points.requires_grad_()
    fragments = ops.rasterize(points, triangles, 32, 32)
    image = torch.rand(len(triangles) + 1, 2).double()[fragments.triangle_ids.long()]
    result = ops.edge_gradient(image, points, triangles, fragments)
    (result * torch.rand_like(result)).sum().backward()
    moved = points.grad[0].abs().sum(-1) > 0
    outline = vertices[:, :2].norm(dim=-1) > (0.75 if fineness[0] == 10 else 0.9)
    assert moved.any() and not (moved & ~outline).any()


@pytest.mark.parametrize("sign", [1, -1], ids=["ridge", "valley"])
def test_no_boundary_at_a_crease(sign):
    vertices, triangles = meshes.grid(4, 4, 12, 12)
    vertices[:, 2] = sign * 2 * (vertices[:, 0] - 6).abs()
    points = vertices[None].requires_grad_()
    fragments = ops.rasterize(points, triangles, 12, 12)
    image = fragments.triangle_ids[..., None].double()
    ops.edge_gradient(image, points, triangles, fragments).sum().backward()
    assert (points.grad == 0).all()


def test_the_nearer_of_two_sheets_moves():
    near, triangles = meshes.grid(1, 1, 5.3, 10)
    far, _ = meshes.grid(1, 1, 10, 10)
    points = torch.cat([near, far + torch.tensor([0, 0, 3.0])])[None].requires_grad_()
    fragments = ops.rasterize(points, torch.cat([triangles, triangles + 4]), 10, 10)
    image = (fragments.triangle_ids < 2)[..., None].double()
    ops.edge_gradient(
        image, points, torch.cat([triangles, triangles + 4]), fragments
    ).sum().backward()
    assert points.grad[0, :4].sum(0).tolist() == pytest.approx([10, 0, 0])
    assert (points.grad[0, 4:] == 0).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 1, 1), (1, 1, 5)])
def test_small_and_empty(shape):
    vertices, triangles = meshes.soup(batch=shape[0])
    fragments = ops.rasterize(vertices, triangles, *shape[1:])
    image = torch.rand(*shape, 2).double()
    result = ops.edge_gradient(image, vertices.requires_grad_(), triangles, fragments)
    result.sum().backward()
    assert result.shape == image.shape and torch.isfinite(vertices.grad).all()


def test_bad_vertices_give_finite_gradients():
    vertices, triangles = meshes.soup()
    vertices[:, 3] = float("nan")
    vertices[:, 5] = float("inf")
    vertices.requires_grad_()
    fragments = ops.rasterize(vertices, triangles, 12, 12)
    image = torch.rand(2, 12, 12, 1).double()
    ops.edge_gradient(image, vertices, triangles, fragments).sum().backward()
    assert torch.isfinite(vertices.grad).all()


@pytest.mark.cpu_kernels
def test_vertex_index_out_of_range():
    op_inputs = torch.rand(1, 4, 4, 1), torch.rand(1, 3, 3, requires_grad=True)
    fragments = ops.Fragments(
        torch.zeros(1, 4, 4, dtype=torch.int32), torch.zeros(1, 4, 4, 2), torch.zeros(1, 4, 4)
    )
    result = ops.edge_gradient(*op_inputs, torch.tensor([[0, 1, 3]]), fragments)
    with pytest.raises(IndexError, match="edge_gradient: triangles must hold"):
        result.sum().backward()


@given(
    image=st.lists(st.integers(1, 3), min_size=3, max_size=5),
    vertices=st.lists(st.integers(2, 3), min_size=2, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(image, vertices):
    ids = torch.full((2, 3, 3), -1, dtype=torch.int32)
    fragments = ops.Fragments(ids, torch.zeros(2, 3, 3, 2), torch.zeros(2, 3, 3))
    triangles = torch.zeros(0, 3, dtype=torch.int32)
    arguments = torch.rand(image), torch.rand(vertices), triangles, fragments
    if len(image) == 4 and image[:3] == [2, 3, 3] and vertices in ([2, 2, 3], [2, 3, 3]):
        assert ops.edge_gradient(*arguments).shape == tuple(image)
    else:
        with pytest.raises(ValueError, match=r"edge_gradient: (image|vertices) must"):
            ops.edge_gradient(*arguments)
