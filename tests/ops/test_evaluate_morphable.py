import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.geometry import rotation_from_angles
from pgnface.ops import reference

from . import contract


def make_inputs(batch=3, vertices=70, count=5, posed=True, constant=()):
    """mean, basis, coefficients and a pose; those named in ``constant`` ask for no gradient."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = {
        "mean": normal(vertices, 3),
        "basis": normal(count, vertices, 3),
        "coefficients": normal(batch, count),
    }
    if posed:
        inputs["scale"] = normal(batch).abs() + 0.5
        inputs["rotation"] = rotation_from_angles(40 * normal(batch, 3))
        inputs["translation"] = normal(batch, 3)
    return [t.requires_grad_(name not in constant) for name, t in inputs.items()]


@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("batch, count", [(1, 1), (3, 4), (9, 7), (17, 9)])
def test_matches_twin(posed, batch, count):
    inputs = make_inputs(batch, 150, count, posed)
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)


def test_matches_twin_over_several_chunks():
    inputs = make_inputs(batch=2, vertices=64 * 256 + 261, count=3)
    contract.assert_matches_twin(
        ops.evaluate_morphable, reference.evaluate_morphable, inputs, rtol=1e-2, atol=1e-2
    )


@pytest.mark.parametrize("posed", [True, False])
def test_gradcheck(posed):
    contract.assert_gradients(
        ops.evaluate_morphable, make_inputs(batch=2, vertices=7, count=3, posed=posed)
    )


@pytest.mark.parametrize(
    "constant", [("mean", "basis"), ("coefficients",), ("mean", "basis", "coefficients")]
)
def test_gradients_only_where_asked(constant):
    inputs = make_inputs(constant=constant)
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)


def test_scale_zero_has_gradients():
    inputs = make_inputs()
    inputs[3] = torch.zeros_like(inputs[3]).requires_grad_()
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)


def test_threads():
    contract.assert_thread_counts_agree(
        ops.evaluate_morphable, make_inputs(batch=9, vertices=9000, count=6)
    )


def test_strides():
    contract.assert_accepts_strides(ops.evaluate_morphable, make_inputs())


@pytest.mark.parametrize("posed", [True, False])
def test_opcheck(posed):
    op = torch.ops.pgnface.evaluate_morphable.default
    contract.assert_opcheck(op, make_inputs(posed=posed))


@pytest.mark.parametrize("posed", [True, False])
def test_compile(posed):
    contract.assert_compiles(ops.evaluate_morphable, make_inputs(posed=posed))


@contract.needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("batch, count", [(1, 3), (9, 40), (20, 7)])
def test_cuda(posed, batch, count):
    contract.assert_cuda_matches_cpu(
        ops.evaluate_morphable, make_inputs(batch, 5000, count, posed), atol=1e-2
    )


@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("batch, vertices, count", [(0, 5, 2), (2, 0, 2), (2, 5, 0), (0, 0, 0)])
def test_empty(batch, vertices, count, posed):
    inputs = make_inputs(batch, vertices, count, posed)
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e38])
def test_values_that_are_not_usable_stay_in_their_item(bad):
    inputs = [t.detach().float() for t in make_inputs()]
    clean = ops.evaluate_morphable(*inputs)
    inputs[2][1, 2] = bad
    spoiled = ops.evaluate_morphable(*inputs)
    assert torch.equal(spoiled[0], clean[0]) and torch.equal(spoiled[2], clean[2])
    assert not torch.isfinite(spoiled[1]).all() or spoiled[1].abs().max() > 1e30


def test_half_precision_is_promoted():
    inputs = [t.detach().bfloat16() for t in make_inputs()]
    assert ops.evaluate_morphable(*inputs).dtype == torch.float32


shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@given(mean=shapes, basis=shapes, coefficients=shapes)
@settings(max_examples=60, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(mean, basis, coefficients):
    valid = (
        (len(mean), len(basis), len(coefficients)) == (2, 3, 2)
        and basis[1:] == mean
        and mean[1] == 3
        and coefficients[1] == basis[0]
    )
    arguments = [torch.rand(shape) for shape in (mean, basis, coefficients)]
    if valid:
        assert ops.evaluate_morphable(*arguments).shape == (coefficients[0], *mean)
    else:
        with pytest.raises(ValueError, match=r"evaluate_morphable: (mean|basis|coefficients) must"):
            ops.evaluate_morphable(*arguments)


def test_wrong_pose():
    mean, basis, coefficients, scale, rotation, translation = make_inputs()
    with pytest.raises(ValueError, match=r"missing \['rotation', 'translation'\]"):
        ops.evaluate_morphable(mean, basis, coefficients, scale)
    with pytest.raises(ValueError, match=r"rotation must have shape \(N, 3, 3\) with N=3"):
        ops.evaluate_morphable(mean, basis, coefficients, scale, rotation[:2], translation)
    with pytest.raises(TypeError, match="share one dtype"):
        ops.evaluate_morphable(mean, basis.float(), coefficients)
