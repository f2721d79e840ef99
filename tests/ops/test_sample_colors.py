import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract


def make_inputs(batch=2, channels=3, height=6, width=9, points=40):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, channels, height, width, generator=generator, dtype=torch.float64)
    spread = torch.tensor([width + 3, height + 3, 1.0], dtype=torch.float64)
    xyz = torch.rand(batch, points, 3, generator=generator, dtype=torch.float64) * spread - 1.5
    return [image.requires_grad_(), xyz.requires_grad_()]


def test_matches_twin():
    contract.assert_matches_twin(ops.sample_colors, reference.sample_colors, make_inputs())


def test_gradcheck():
    contract.assert_gradients(ops.sample_colors, make_inputs(points=15))


def test_threads():
    contract.assert_thread_counts_agree(ops.sample_colors, make_inputs(batch=5, points=3000))


def test_strides():
    contract.assert_accepts_strides(ops.sample_colors, make_inputs())


def test_opcheck():
    contract.assert_opcheck(torch.ops.pgnface.sample_colors.default, make_inputs())


def test_compile():
    contract.assert_compiles(ops.sample_colors, make_inputs())


@pytest.mark.parametrize("asks", [0, 1], ids=["image", "points"])
def test_one_gradient_alone(asks):
    inputs = contract.cast(make_inputs(points=3000), torch.float32)
    weights = torch.rand(2, 3000, 3)
    both = torch.autograd.grad(ops.sample_colors(*inputs), inputs, weights)
    inputs[1 - asks].requires_grad_(False)
    (alone,) = torch.autograd.grad(ops.sample_colors(*inputs), inputs[asks], weights)
    assert torch.equal(alone, both[asks])


@contract.needs_cuda
@pytest.mark.cuda
def test_cuda():
    contract.assert_cuda_matches_cpu(ops.sample_colors, make_inputs(points=500))


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_of_one_argument_alone(which):
    inputs = make_inputs()
    both = contract.run_with_gradients(ops.sample_colors, contract.cast(inputs, torch.float64))[1]
    alone = contract.cast(inputs, torch.float64)
    alone[1 - which].requires_grad_(False)
    (gradient,) = contract.run_with_gradients(ops.sample_colors, alone)[1]
    assert torch.equal(gradient, both[which])


def test_offsets_beyond_32_bits():
    """An image of more than 2^31 values: numpy's zeros take no memory until they are touched."""
    try:
        image = torch.from_numpy(np.zeros((1, 2**15, 257, 257), np.float32))
    except MemoryError:
        pytest.skip("cannot reserve 9 GB of address space")
    image[0, -1, -2:, -2:] = 3.0
    colors = ops.sample_colors(image, torch.tensor([[[256.25, 256.25]]]))
    assert colors[0, 0, -1] == 3 and colors.sum() == 3


def test_pixel_centres_lie_at_half():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    points = torch.tensor([[[0.5, 0.5], [3.5, 2.5], [2.0, 0.5], [-5.0, 99.0]]])
    assert ops.sample_colors(image, points).flatten().tolist() == [0.0, 11.0, 1.5, 8.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_points_that_are_not_usable_yield_zeros_and_no_gradient(bad):
    image = torch.rand(1, 2, 4, 4, requires_grad=True)
    points = torch.tensor([[[bad, 1.0], [1.0, bad], [2.0, 2.0]]], requires_grad=True)
    colors = ops.sample_colors(image, points)
    colors.sum().backward()
    assert (colors[0, :2] == 0).all() and (colors[0, 2] > 0).all()
    assert (points.grad[0, :2] == 0).all() and torch.isfinite(image.grad).all()


@pytest.mark.parametrize("batch, points", [(0, 3), (2, 0)])
def test_empty(batch, points):
    colors = ops.sample_colors(torch.rand(batch, 3, 4, 4), torch.rand(batch, points, 2))
    assert colors.shape == (batch, points, 3)


def test_one_pixel_image():
    colors = ops.sample_colors(torch.full((1, 1, 1, 1), 7.0), torch.rand(1, 5, 2) * 9 - 4)
    assert (colors == 7).all()


def test_half_precision_is_promoted():
    image, points = (t.detach().bfloat16() for t in make_inputs())
    assert ops.sample_colors(image, points).dtype == torch.float32


@given(
    image=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    points=st.lists(st.integers(0, 4), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(image, points):
    valid = (
        len(image) == 4
        and len(points) == 3
        and image[0] == points[0]
        and points[2] in (2, 3)
        and image[2] * image[3] > 0
    )
    arguments = torch.rand(image), torch.rand(points)
    if valid:
        assert ops.sample_colors(*arguments).shape == (*points[:2], image[1])
    else:
        with pytest.raises(ValueError, match=r"sample_colors: (image|points) must"):
            ops.sample_colors(*arguments)


def test_wrong_dtype_and_device():
    with pytest.raises(TypeError, match="image must be floating point"):
        ops.sample_colors(torch.zeros(1, 1, 2, 2, dtype=torch.int32), torch.rand(1, 1, 2))
    with pytest.raises(ValueError, match="points is on meta"):
        ops.sample_colors(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, device="meta"))
    with pytest.raises(TypeError, match="share one dtype"):
        ops.sample_colors(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, dtype=torch.float64))
