"""The ops on a GPU without the host: recorded into a CUDA graph, and with waiting forbidden."""

import pytest
import torch

from pgnface import ops
from pgnface.geometry import flip_axes, rotation_from_angles
from pgnface.losses import multiframe_photometric_loss
from tests.models import tiny_model

from . import contract, meshes

pytestmark = [contract.needs_cuda, pytest.mark.cuda]

HEIGHT, WIDTH = 40, 48


def make_cases():
    """For each op: a function of CUDA tensors, and the tensors; those that ask get gradients."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape, grad=True):
        return torch.randn(*shape, generator=generator).cuda().requires_grad_(grad)

    vertices, triangles = meshes.soup(batch=2, vertices=60, triangles=90, size=40.0)
    vertices = vertices.float().cuda().requires_grad_()
    triangles = triangles.cuda()  # int64: the cast is part of what is recorded
    adjacency = ops.build_adjacency(triangles, 60)
    fragments = ops.rasterize(vertices.detach(), triangles, HEIGHT, WIDTH)
    rotation = torch.linalg.qr(torch.randn(3, 3, 3, generator=generator))[0]
    pose = [normal(3), rotation.cuda().requires_grad_(), normal(3, 3)]

    def interpolate(attributes, barycentrics):
        return ops.interpolate(attributes, triangles, fragments._replace(barycentrics=barycentrics))

    def visibility(vertices):
        return ops.vertex_visibility(vertices, triangles, fragments.depth)

    def rendering(vertices, colors):
        drawn = ops.rasterize(vertices, triangles, HEIGHT, WIDTH)
        image = ops.interpolate(colors, triangles, drawn)
        return ops.edge_gradient(image, vertices, triangles, drawn)

    # Two frames of a person: shape and pose in one pass, then the loss that compares the frames.
    model = tiny_model().cuda()
    scale, angles = torch.full((2,), 0.2).cuda(), torch.tensor([[0.0, -15, 0], [0, 15, 0]])
    center = torch.tensor([WIDTH / 2, HEIGHT / 2, 0]).repeat(2, 1).cuda()
    frames = model.adjacency, flip_axes(rotation_from_angles(angles), dim=-2).cuda()
    images = torch.rand(1, 2, 3, HEIGHT, WIDTH, generator=generator).cuda()

    def self_supervision(coefficients, scale, center):
        adjacency, rotation = frames
        shape = ops.evaluate_morphable(
            model.mean, model.basis, coefficients.expand(2, -1), scale, rotation, center
        )
        return multiframe_photometric_loss(images, shape[None], adjacency)

    head = [normal(1, len(model.basis)), scale.requires_grad_(), center.requires_grad_()]
    barycentrics = fragments.barycentrics.clone().requires_grad_()
    return {
        "self_supervision": (self_supervision, head),
        "sample_colors": (ops.sample_colors, [normal(2, 3, HEIGHT, WIDTH), vertices]),
        "evaluate_morphable": (
            ops.evaluate_morphable,
            [normal(70, 3), normal(5, 70, 3), normal(3, 5), *pose],
        ),
        "solve_pose": (
            ops.solve_pose,
            [normal(9, 68, 3), normal(9, 68, 3), normal(9, 68, grad=False).abs().requires_grad_()],
        ),
        "vertex_normals": (lambda v: ops.vertex_normals(v, adjacency), [vertices]),
        "vertex_visibility": (visibility, [vertices]),
        "rasterize": (lambda v: ops.rasterize(v, triangles, HEIGHT, WIDTH), [vertices]),
        "interpolate": (interpolate, [normal(2, 60, 4), barycentrics]),
        "rendering": (rendering, [vertices, normal(60, 3)]),
        "closest_point": (
            lambda points, v: ops.closest_point(points, v, triangles),
            [normal(2, 50, 3), vertices],
        ),
    }


OPS = [
    "self_supervision",
    "sample_colors",
    "evaluate_morphable",
    "solve_pose",
    "vertex_normals",
    "vertex_visibility",
    "rasterize",
    "interpolate",
    "rendering",
    "closest_point",
]


def step(function, inputs):
    """Outputs, and gradients of the sum of their sines, computed on the device alone."""
    leaves = [value.detach().requires_grad_(value.requires_grad) for value in inputs]
    outputs = contract.tensors_of(function(*leaves))
    # Empty pixels are infinitely deep.
    total = [o.clamp(max=1e3).sin().sum() for o in outputs if o.requires_grad]
    grads = torch.autograd.grad(sum(total), leaves) if total else ()
    return [o.detach() for o in outputs] + list(grads)


@pytest.fixture(params=[False, True], ids=["fast", "deterministic"])
def deterministic(request):
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("name", OPS)
class TestWithoutTheHost:
    def test_a_replayed_graph_gives_what_eager_gives(self, name):
        function, inputs = make_cases()[name]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # loads the kernels, as torch asks for before a capture
            step(function, inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            recorded = step(function, inputs)
        with torch.no_grad():  # other values at the same addresses
            for value in inputs:
                value.mul_(1.01)
        expected = step(function, inputs)
        for _ in range(2):  # a second replay finds what the first one left behind
            graph.replay()
            for actual, wanted in zip(recorded, expected, strict=True):
                torch.testing.assert_close(actual, wanted, atol=1e-3, rtol=1e-3)

    def test_nothing_waits_for_the_device(self, name):
        function, inputs = make_cases()[name]
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(function, inputs)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_work_goes_to_the_current_stream():
    """A slow write on a side stream must come before the op that reads it there."""
    function, inputs = make_cases()["sample_colors"]
    expected = step(function, [inputs[0] * 2, inputs[1]])
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        doubled = (inputs[0] * 2).detach().requires_grad_()
        actual = step(function, [doubled, inputs[1]])
    side.synchronize()
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, atol=1e-3, rtol=1e-3)
