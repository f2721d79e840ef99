import math
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes

BAD = [math.nan, math.inf, -math.inf, 1e30, 2.0**20 + 1]


def make_inputs(height=12, width=11, **options):
    vertices, triangles = meshes.soup(**options)
    return [vertices.float().double().requires_grad_(), triangles.int(), height, width]


def coverage(vertices, triangles, height, width):
    """How many of the triangles cover each pixel: each is drawn alone."""
    corners = vertices[triangles]
    alone = ops.rasterize(corners, torch.tensor([[0, 1, 2]]), height, width)
    return alone.mask.sum(0)


def assert_partition(vertices, triangles, height, width):
    """Triangles that fill the image draw each pixel once, whichever way they are wound."""
    flipped = torch.where((torch.rand(len(triangles)) < 0.5)[:, None], triangles.flip(1), triangles)
    for dtype in (torch.float32, torch.float64):
        count = coverage(vertices.to(dtype), flipped, height, width)
        assert (count == 1).all()
        assert ops.rasterize(vertices.to(dtype)[None], flipped, height, width).mask.all()


def snapped(points):
    return (points * 256).round() / 256


class TestContract:
    def test_matches_twin(self):
        contract.assert_matches_twin(ops.rasterize, reference.rasterize, make_inputs(), rtol=5e-3)

    def test_ids_match_twin_when_everything_ties(self):
        """Vertices on pixel centres and corners, and few depths: edges and depths coincide."""
        generator = torch.Generator().manual_seed(5)
        vertices = torch.randint(-2, 20, (8, 12, 3), generator=generator) / 2
        vertices[..., 2] = (vertices[..., 2] / 3).floor()
        triangles = torch.randint(12, (60, 3), generator=generator)
        for dtype in (torch.float32, torch.float64):
            inputs = vertices.to(dtype), triangles, 9, 8
            assert torch.equal(ops.rasterize(*inputs)[0], reference.rasterize(*inputs)[0])

    @pytest.mark.parametrize("scale", [1e-2, 1.0, 80.0, 1e4])
    def test_ids_match_twin_at_any_size(self, scale):
        vertices, triangles = meshes.soup(batch=1, triangles=60)
        vertices = ((vertices - 6) * scale + 20).float()
        inputs = vertices, triangles, 40, 41
        assert torch.equal(ops.rasterize(*inputs)[0], reference.rasterize(*inputs)[0])

    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("sectors, size", [(4, 280), (12, 260), (40, 40), (60, 23)])
    def test_ids_match_twin_on_a_sphere(self, sectors, size, threads):
        """Images of more pixels than are drawn at a time, and boxes of no pixel to most."""
        vertices, triangles = meshes.sphere(sectors // 2, sectors)
        points = torch.stack([vertices, vertices.flip(1)]) * 0.51 * size + 0.497 * size
        inputs = points.float(), triangles, size, size - 3
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for n in (1, 2):
                ids = ops.rasterize(inputs[0][:n], *inputs[1:]).triangle_ids
                assert torch.equal(ids, reference.rasterize(inputs[0][:n], *inputs[1:])[0])
        finally:
            torch.set_num_threads(before)

    def test_gradcheck(self):
        def floats(vertices, *rest):
            fragments = ops.rasterize(vertices, *rest)
            return fragments.barycentrics, torch.where(fragments.mask, fragments.depth, 0.0)

        contract.assert_gradients(floats, make_inputs(batch=1, vertices=9, triangles=8))

    @pytest.mark.parametrize("batch", [1, 5])
    def test_threads(self, batch):
        contract.assert_thread_counts_agree(
            ops.rasterize, make_inputs(61, 64, batch=batch, vertices=200, triangles=500, size=60)
        )

    def test_strides(self):
        contract.assert_accepts_strides(ops.rasterize, make_inputs())

    def test_opcheck(self):
        contract.assert_opcheck(torch.ops.pgnface.rasterize.default, make_inputs())

    def test_compile(self):
        contract.assert_compiles(ops.rasterize, make_inputs())

    @contract.needs_cuda
    @pytest.mark.cuda
    @pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
    def test_cuda(self, scale):
        vertices, triangles, height, width = make_inputs(200, 180, batch=3, triangles=300)
        inputs = [(vertices.detach() * 15 * scale).requires_grad_(), triangles, height, width]
        contract.assert_cuda_matches_cpu(ops.rasterize, inputs, rtol=1e-2, atol=1e-3)
        cpu, cuda = (
            ops.rasterize(*contract.cast(inputs, torch.float32, d)) for d in ("cpu", "cuda")
        )
        assert torch.equal(cpu.triangle_ids, cuda.triangle_ids.cpu())

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda_skips_what_the_cpu_rejects(self):
        vertices, triangles, height, width = contract.cast(make_inputs(), torch.float32, "cuda")
        triangles[::2, 1] = vertices.shape[1]
        fragments = ops.rasterize(vertices, triangles, height, width)
        assert fragments.mask.any() and (fragments.triangle_ids[fragments.mask] % 2 == 1).all()


class TestWatertight:
    def test_quad_of_two_triangles(self):
        vertices, triangles = meshes.grid(1, 1, 8, 6)
        assert_partition(vertices, triangles, 6, 8)
        fragments = ops.rasterize(vertices[None], triangles, 6, 8)
        position = ops.interpolate(vertices[:, :2], triangles, fragments)
        rows, columns = torch.meshgrid(torch.arange(6) + 0.5, torch.arange(8) + 0.5, indexing="ij")
        torch.testing.assert_close(position[0], torch.stack([columns, rows], -1).double())

    @pytest.mark.parametrize("step", [1 / 256, 0.5, 1.0])
    def test_random_triangulation(self, step):
        """The coarser grids put vertices and edges on pixel centres."""
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            points = torch.rand(150, 2, generator=generator, dtype=torch.float64) * 18 - 1
            corners = torch.tensor([[-1, -1], [17, -1], [17, 17], [-1, 17]])
            points = torch.cat([(points / step).round() * step, corners])
            triangles = torch.from_numpy(Delaunay(points).simplices).long()
            vertices = torch.cat([points, torch.rand(len(points), 1)], 1)
            assert_partition(vertices, triangles, 16, 16)

    @pytest.mark.parametrize("radius", [9.0, 70.0, 3000.0, 2.0**19])
    @pytest.mark.parametrize("center", [(4.5, 3.5), (4.0, 4.0), (4.37, 3.61)])
    def test_fan(self, radius, center):
        count = 40
        angle = (torch.arange(count) + 0.3 * torch.rand(count)) / count * 2 * math.pi
        rim = torch.stack([angle.cos(), angle.sin(), torch.zeros(count)], -1).double() * radius
        vertices = torch.cat([torch.zeros(1, 3), rim]) + torch.tensor([*center, 0.0])
        index = torch.arange(count)
        triangles = torch.stack([torch.zeros_like(index), index + 1, (index + 1) % count + 1], -1)
        assert_partition(vertices, triangles, 8, 9)

    @pytest.mark.parametrize(
        "rows, columns, width, height",
        [
            (2, 2000, 10, 10),
            (2000, 2, 10, 10),
            (150, 150, 10, 10),
            (3, 3, 200, 190),
            (1, 5, 320, 4),
        ],
    )
    def test_slivers_and_sub_pixel_and_large(self, rows, columns, width, height):
        vertices, triangles = meshes.grid(rows, columns, width + 0.2, height + 0.2)
        assert_partition(snapped(vertices - 0.1), triangles, height, width)

    def test_closed_surface_covers_front_and_back_alike(self):
        vertices, triangles = meshes.sphere(16, 32)
        image = snapped(vertices * 10 + 12)
        signed = image[triangles]
        a, b = signed[:, 1] - signed[:, 0], signed[:, 2] - signed[:, 0]
        front = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0
        counts = [coverage(image, triangles[side], 24, 24) for side in (front, ~front)]
        assert torch.equal(*counts) and counts[0].max() == 1


class TestDepth:
    def test_nearest_wins_and_a_tie_goes_to_the_lower_id(self):
        vertices, triangles = meshes.grid(1, 1, 4, 4)
        layers = torch.cat([vertices + torch.tensor([0, 0, z]) for z in (2.0, 1.0, 1.0)])
        order = torch.cat([triangles + 4 * layer for layer in range(3)])
        fragments = ops.rasterize(layers[None], order, 4, 4)
        assert sorted(fragments.triangle_ids.unique().tolist()) == [2, 3]
        assert (fragments.depth == 1).all()

    def test_negative_zero_ties_with_zero(self):
        vertices, triangles = meshes.grid(1, 1, 2, 2)
        layers = torch.cat([vertices, -vertices * torch.tensor([-1.0, -1.0, 1.0])])
        fragments = ops.rasterize(layers[None], torch.cat([triangles, triangles + 4]), 2, 2)
        assert fragments.triangle_ids.max() <= 1

    def test_depth_is_the_plane(self):
        vertices, triangles = meshes.grid(3, 4, 9, 7)
        vertices[:, 2] = 3 + 0.5 * vertices[:, 0] - 0.25 * vertices[:, 1]
        depth = ops.rasterize(vertices[None], triangles, 7, 9).depth[0]
        rows, columns = torch.meshgrid(torch.arange(7) + 0.5, torch.arange(9) + 0.5, indexing="ij")
        torch.testing.assert_close(depth, (3 + 0.5 * columns - 0.25 * rows).double())


class TestDegenerate:
    @pytest.mark.parametrize("bad", BAD)
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_triangles_of_bad_vertices_cover_nothing(self, bad, axis):
        vertices, triangles, height, width = make_inputs()
        vertices = vertices.detach().float()
        vertices[:, 4, axis] = bad
        kept = (triangles != 4).all(1)
        expected = ops.rasterize(vertices, triangles[kept], height, width)
        vertices.requires_grad_()
        fragments = ops.rasterize(vertices, triangles, height, width)
        ids = torch.nonzero(kept)[:, 0][expected.triangle_ids.long()].int()
        assert torch.equal(fragments.triangle_ids, torch.where(expected.mask, ids, -1))
        (fragments.barycentrics.sum() + fragments.depth[fragments.mask].sum()).backward()
        assert torch.isfinite(vertices.grad).all()

    def test_thin_triangles_give_weights_on_the_simplex_and_finite_gradients(self):
        generator = torch.Generator().manual_seed(2)
        start = torch.rand(4000, 1, 3, generator=generator) * 16
        line = torch.randn(4000, 1, 3, generator=generator)
        line = line * torch.rand(4000, 3, 1, generator=generator)
        width = 0.5 * 10 ** (-3 * torch.rand(4000, 1, 1, generator=generator))
        vertices = start + 8 * line + width * torch.randn(4000, 3, 3, generator=generator)
        vertices.requires_grad_()
        fragments = ops.rasterize(vertices, torch.tensor([[0, 1, 2]]), 16, 16)
        weights = fragments.barycentrics
        assert fragments.mask.sum() > 100
        assert (weights >= 0).all() and (weights.sum(-1) <= 1 + 1e-6).all()
        (weights.square().sum() + fragments.depth[fragments.mask].sum()).backward()
        assert torch.isfinite(vertices.grad).all()

    def test_triangles_without_area_cover_nothing(self):
        vertices = torch.tensor([[[0.0, 0, 0], [4, 4, 0], [8, 8, 0], [1, 1, 0], [1.001, 1, 0]]])
        triangles = torch.tensor([[0, 1, 2], [0, 0, 1], [3, 4, 3], [2, 2, 2]])
        assert not ops.rasterize(vertices, triangles, 8, 8).mask.any()

    @pytest.mark.parametrize("batch, vertices, triangles", [(0, 3, 1), (2, 0, 0), (1, 5, 0)])
    def test_empty(self, batch, vertices, triangles):
        points = torch.rand(batch, vertices, 3, requires_grad=True)
        fragments = ops.rasterize(points, torch.zeros(triangles, 3, dtype=torch.int32), 4, 5)
        assert fragments.triangle_ids.shape == (batch, 4, 5)
        assert not fragments.mask.any() and (fragments.depth == math.inf).all()
        fragments.barycentrics.sum().backward()
        assert (points.grad == 0).all()

    def test_one_pixel(self):
        vertices, triangles = meshes.grid(1, 1)
        assert ops.rasterize(vertices[None], triangles, 1, 1).mask.all()

    def test_half_precision_is_promoted(self):
        vertices, *rest = make_inputs()
        assert ops.rasterize(vertices.detach().half(), *rest).depth.dtype == torch.float32


def test_a_large_batch():
    """256 images of 512 pixels: more bytes than 32 bits count."""
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 4 << 30:
        pytest.skip("needs 4 GB of memory")
    vertices, triangles = meshes.sphere(12, 24)
    shift = torch.arange(256.0)[:, None, None] * torch.tensor([0.7, 0.4, 0.0])
    points = (vertices * 150 + 160).float() + shift
    fragments = ops.rasterize(points, triangles, 512, 512)
    for n in (0, 127, 255):
        alone = ops.rasterize(points[n : n + 1], triangles, 512, 512)
        for batched, single in zip(fragments, alone, strict=True):
            assert torch.equal(batched[n], single[0])


class TestErrors:
    @given(
        vertices=st.lists(st.integers(0, 4), min_size=1, max_size=4),
        triangles=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        size=st.tuples(st.integers(-1, 3), st.integers(-1, 3)),
    )
    @settings(max_examples=80, deadline=None)
    def test_any_shape_gives_a_result_or_a_clear_error(self, vertices, triangles, size):
        valid = (
            len(vertices) == 3
            and vertices[2] == 3
            and len(triangles) == 2
            and triangles[1] == 3
            and min(size) > 0
        )
        points, indices = torch.rand(vertices), torch.zeros(triangles, dtype=torch.int64)
        if valid and (vertices[1] > 0 or triangles[0] == 0):
            assert ops.rasterize(points, indices, *size).depth.shape == (vertices[0], *size)
        else:
            with pytest.raises(
                (ValueError, IndexError), match=r"rasterize: (vertices|triangles|height and width) "
            ):
                ops.rasterize(points, indices, *size)

    @pytest.mark.cpu_kernels
    @pytest.mark.parametrize("bad", [-1, 4, 2**31 - 1, -(2**31)])
    def test_vertex_index_out_of_range(self, bad):
        triangles = torch.tensor([[0, 1, 2], [2, bad, 3]])
        with pytest.raises(IndexError, match=rf"triangles must .* from 0 to 3, got {bad}"):
            ops.rasterize(torch.rand(1, 4, 3), triangles, 4, 4)

    def test_wrong_types(self):
        with pytest.raises(TypeError, match="triangles must be integers"):
            ops.rasterize(torch.rand(1, 4, 3), torch.rand(2, 3), 4, 4)
        with pytest.raises(TypeError, match="vertices must be floating point"):
            ops.rasterize(torch.zeros(1, 4, 3).int(), torch.zeros(2, 3).int(), 4, 4)
