import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes


def make_case(batch=2, channels=3, shared=False, **options):
    """An op of (attributes, barycentrics), its twin, and arguments for both."""
    vertices, triangles = meshes.soup(batch=batch, **options)
    fragments = ops.rasterize(vertices.float().double(), triangles, 12, 11)
    shape = (vertices.shape[1], channels) if shared else (*vertices.shape[:2], channels)
    attributes = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    barycentrics = fragments.barycentrics.detach().requires_grad_()

    def with_function(function):
        def call(attributes, barycentrics):
            ids = fragments.triangle_ids.to(attributes.device)
            depth = fragments.depth.to(attributes)
            given_fragments = ops.Fragments(ids, barycentrics, depth)
            return function(attributes, triangles.to(attributes.device), given_fragments)

        return call

    inputs = [attributes, barycentrics]
    return with_function(ops.interpolate), with_function(reference.interpolate), inputs


@pytest.mark.parametrize("shared", [False, True])
class TestContract:
    def test_matches_twin(self, shared):
        op, twin, inputs = make_case(shared=shared)
        contract.assert_matches_twin(op, twin, inputs)

    def test_gradcheck(self, shared):
        op, _, inputs = make_case(shared=shared, vertices=6, triangles=5)
        contract.assert_gradients(op, inputs)

    @pytest.mark.parametrize("batch", [1, 5])
    def test_threads(self, shared, batch):
        op, _, inputs = make_case(batch=batch, shared=shared, vertices=200, triangles=300)
        contract.assert_thread_counts_agree(op, inputs)

    def test_strides(self, shared):
        op, _, inputs = make_case(shared=shared)
        contract.assert_accepts_strides(op, inputs)

    def test_compile(self, shared):
        op, _, inputs = make_case(shared=shared)
        contract.assert_compiles(op, inputs)

    def test_opcheck(self, shared):
        vertices, triangles = meshes.soup()
        ids, barycentrics, _ = ops.rasterize(vertices, triangles, 7, 8)
        attributes = torch.rand(*vertices.shape[1 if shared else 0 : 2], 2, requires_grad=True)
        contract.assert_opcheck(
            torch.ops.pgnface.interpolate.default,
            [attributes, triangles.int(), ids, barycentrics.requires_grad_()],
        )

    @pytest.mark.parametrize("which", [0, 1])
    def test_gradient_of_one_argument_alone(self, shared, which):
        op, _, inputs = make_case(shared=shared)
        both = contract.run_with_gradients(op, contract.cast(inputs, torch.float64))[1]
        alone = contract.cast(inputs, torch.float64)
        alone[1 - which].requires_grad_(False)
        assert torch.equal(contract.run_with_gradients(op, alone)[1][0], both[which])

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda(self, shared):
        op, _, inputs = make_case(shared=shared, vertices=200, triangles=300)
        contract.assert_cuda_matches_cpu(op, inputs)


@contract.needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("size", [5, 31, 64])
def test_cuda_sums_the_pixels_of_large_triangles(size):
    """Runs of one triangle that end inside a row, at its end, and between warps."""
    vertices, triangles = meshes.grid(1, 2, size - 1.3, size - 2.1)
    fragments = ops.rasterize(vertices[None].float(), triangles, size, size)

    def op(attributes):
        on_device = ops.Fragments(*(f.to(attributes.device) for f in fragments))
        return ops.interpolate(attributes, triangles.to(attributes.device), on_device)

    contract.assert_cuda_matches_cpu(op, [torch.rand(6, 3).double().requires_grad_()])


def test_images_of_one_triangle_keep_their_gradients_apart():
    vertices = torch.tensor([[-50.0, -50.0, 1.0], [100.0, -50.0, 1.0], [-50.0, 100.0, 1.0]])
    triangles = torch.tensor([[0, 1, 2]])
    fragments = ops.rasterize(vertices.expand(3, -1, -1), triangles, 5, 5)
    attributes, grad = torch.rand(3, 3, 2, requires_grad=True), torch.rand(3, 5, 5, 2)
    ops.interpolate(attributes, triangles, fragments).backward(grad)
    weights = torch.cat((fragments.barycentrics, 1 - fragments.barycentrics.sum(-1, True)), -1)
    expected = torch.einsum("nhwk,nhwc->nkc", weights, grad)
    torch.testing.assert_close(attributes.grad, expected)


def test_linear_attributes_are_reproduced_and_empty_pixels_are_zero():
    vertices, triangles = meshes.grid(3, 3, 6, 6)
    fragments = ops.rasterize(vertices[None] + 1, triangles, 8, 8)
    values = ops.interpolate(vertices[:, :1] + 1, triangles, fragments)[0, ..., 0]
    columns = (torch.arange(8) + 0.5).expand(8, 8).double()
    torch.testing.assert_close(values, torch.where(fragments.mask[0], columns, 0.0))


def test_gradient_reaches_the_vertices():
    """d(value)/d(x) of a translated mesh is minus the slope of its texture."""
    vertices, triangles = meshes.grid(3, 3, 9, 9)
    points = vertices[None].clone().requires_grad_()
    fragments = ops.rasterize(points, triangles, 9, 9)
    ops.interpolate(2 * vertices[:, :1], triangles, fragments).sum().backward()
    assert points.grad[..., 0].sum().item() == pytest.approx(-2 * 81)
    assert points.grad[..., 1].sum().item() == pytest.approx(0, abs=1e-9)


def test_ids_that_name_no_triangle_count_as_empty():
    ids = torch.tensor([[[0, 1, -1, 2**31 - 1, -(2**31)]]], dtype=torch.int32)
    fragments = ops.Fragments(ids, torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5))
    attributes = torch.ones(3, 1, requires_grad=True)
    values = ops.interpolate(attributes, torch.tensor([[0, 1, 2]]), fragments)
    assert values.flatten().tolist() == [1, 0, 0, 0, 0]
    values.sum().backward()
    assert attributes.grad.sum() == 1


def test_vertex_index_out_of_range():
    vertices, triangles = meshes.grid(1, 1, 4, 4)
    fragments = ops.rasterize(vertices[None], triangles, 4, 4)
    with pytest.raises(IndexError, match=r"interpolate: triangles must hold .* from 0 to 2"):
        ops.interpolate(torch.rand(3, 1).double(), triangles, fragments)


@pytest.mark.parametrize("batch, channels", [(0, 3), (2, 0)])
def test_empty(batch, channels):
    vertices, triangles = meshes.soup(batch=batch)
    fragments = ops.rasterize(vertices, triangles, 4, 5)
    values = ops.interpolate(torch.rand(30, channels).double(), triangles, fragments)
    assert values.shape == (batch, 4, 5, channels)


def test_offsets_beyond_32_bits():
    """Attributes of more than 2^31 values: numpy's zeros take no memory until they are touched."""
    vertices, channels = 2**16 + 3, 2**15
    try:
        attributes = torch.from_numpy(np.zeros((vertices, channels), np.float32))
    except MemoryError:
        pytest.skip("cannot reserve 8 GiB of address space")
    attributes[-3:] = torch.tensor([1.0, 2.0, 4.0])[:, None]
    fragments = ops.Fragments(
        torch.zeros(1, 1, 1, dtype=torch.int32),
        torch.tensor([[[[0.25, 0.25]]]]),
        torch.ones(1, 1, 1),
    )
    triangles = torch.tensor([[vertices - 3, vertices - 2, vertices - 1]])
    assert (ops.interpolate(attributes, triangles, fragments) == 2.75).all()


@given(
    attributes=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    ids=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    barycentrics=st.lists(st.integers(0, 3), min_size=1, max_size=5),
)
@settings(max_examples=80, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(attributes, ids, barycentrics):
    fragments = ops.Fragments(
        torch.full(ids, -1, dtype=torch.int32), torch.rand(barycentrics), torch.rand(ids)
    )
    valid = (
        len(ids) == 3
        and barycentrics == [*ids, 2]
        and (len(attributes) == 2 or (len(attributes) == 3 and attributes[0] == ids[0]))
    )
    triangles = torch.zeros(0, 3, dtype=torch.int32)
    if valid:
        values = ops.interpolate(torch.rand(attributes), triangles, fragments)
        assert values.shape == (*ids, attributes[-1])
    else:
        with pytest.raises(ValueError, match=r"interpolate: (attributes|fragments\.\w+) must"):
            ops.interpolate(torch.rand(attributes), triangles, fragments)


def test_wrong_dtype():
    fragments = ops.Fragments(
        torch.zeros(1, 2, 2).long(), torch.rand(1, 2, 2, 2), torch.rand(1, 2, 2)
    )
    with pytest.raises(TypeError, match="triangle_ids must be int32"):
        ops.interpolate(torch.rand(3, 1), torch.tensor([[0, 1, 2]]), fragments)
