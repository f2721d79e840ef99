import pytest
import torch

from pgnface import ops
from pgnface.ops import reference

from . import contract


def make_inputs(batch=2, height=9, width=11, masked=True):
    generator = torch.Generator().manual_seed(1)
    image, target, mask = torch.rand(
        3, batch, height, width, generator=generator, dtype=torch.float64
    )
    inputs = [image.requires_grad_(), target.requires_grad_()]
    return [*inputs, (mask > 0.3).double()] if masked else inputs


def op(*arguments):
    return ops.census_distance(*arguments, contrast=0.1)


def twin(*arguments):
    return reference.census_distance(*arguments, contrast=0.1)


@pytest.mark.parametrize("masked", [False, True])
def test_matches_twin(masked):
    contract.assert_matches_twin(op, twin, make_inputs(height=40, width=70, masked=masked))


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_matches_twin_for_any_window(radius):
    def with_radius(module):
        return lambda *a: module.census_distance(*a, radius=radius, contrast=0.1)

    inputs = make_inputs(height=13, width=16)
    contract.assert_matches_twin(with_radius(ops), with_radius(reference), inputs)


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_gradcheck(wanted):
    inputs = make_inputs(batch=1, height=6, width=7)
    for tensor, wants in zip(inputs, wanted, strict=False):
        tensor.requires_grad_(wants)
    contract.assert_gradients(op, inputs)


def test_threads():
    contract.assert_thread_counts_agree(op, make_inputs(batch=3, height=50, width=60))


def test_strides():
    contract.assert_accepts_strides(op, make_inputs())


def test_opcheck():
    inputs = [*make_inputs(), 2, 0.1]
    contract.assert_opcheck(torch.ops.pgnface.census_distance.default, inputs)


def test_compile():
    contract.assert_compiles(op, make_inputs())


@contract.needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("masked", [False, True])
def test_cuda(masked):
    contract.assert_cuda_matches_cpu(op, make_inputs(height=40, width=70, masked=masked))


@pytest.mark.parametrize("shape", [(0, 8, 8), (1, 4, 9), (1, 9, 4), (2, 0, 3), (1, 1, 1)])
def test_images_without_a_whole_window(shape):
    image = torch.rand(shape, requires_grad=True)
    distance = ops.census_distance(image, torch.rand(shape))
    distance.sum().backward()
    assert distance.shape == shape
    assert not distance.any() and not image.grad.any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_is_masked_does_not_matter(bad):
    image, target = (t.detach().float() for t in make_inputs(masked=False))
    mask = torch.zeros_like(image)
    mask[:, :, 7] = 1  # windows over columns 5 to 9
    clean = ops.census_distance(image, target, mask)
    image[:, :, :5] = bad
    image.requires_grad_()
    distance = ops.census_distance(image, target, mask)
    distance.sum().backward()
    assert torch.equal(distance, clean)
    assert torch.isfinite(image.grad).all() and not image.grad[:, :, :5].any()
    assert image.grad[:, :, 5:10].any()


def test_nan_reaches_the_pixels_that_see_it_alone():
    image = torch.rand(1, 11, 11)
    image[0, 2, 2] = float("nan")
    distance = ops.census_distance(image, torch.rand(1, 11, 11))
    assert distance[0, 2:5, 2:5].isnan().all()
    assert distance.isnan().sum() == 9


def test_brightness_does_not_matter_and_order_does():
    image = torch.rand(1, 9, 9)
    assert ops.census_distance(image + 0.5, image).max() < 1e-6
    assert ops.census_distance(1 - image, image)[:, 2:-2, 2:-2].min() > 0.5


def test_half_precision_is_promoted():
    image, target = (t.detach().bfloat16() for t in make_inputs(masked=False))
    assert ops.census_distance(image, target).dtype == torch.float32


def test_errors():
    image = torch.rand(1, 8, 8)
    with pytest.raises(ValueError, match=r"census_distance: target must have shape .* \(1, 8, 7\)"):
        ops.census_distance(image, torch.rand(1, 8, 7))
    with pytest.raises(ValueError, match="mask must have shape"):
        ops.census_distance(image, image, torch.rand(8, 8))
    with pytest.raises(ValueError, match="radius must be at least 1, got 0"):
        ops.census_distance(image, image, radius=0)
    with pytest.raises(TypeError, match=r"radius must be an int, got 1\.5"):
        ops.census_distance(image, image, radius=1.5)
    with pytest.raises(ValueError, match="contrast must be positive, got nan"):
        ops.census_distance(image, image, contrast=float("nan"))
    with pytest.raises(TypeError, match="target must be floating point"):
        ops.census_distance(image, torch.ones(1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="mask is on meta"):
        ops.census_distance(image, image, torch.rand(1, 8, 8, device="meta"))
