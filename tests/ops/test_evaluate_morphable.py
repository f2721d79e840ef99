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
@pytest.mark.parametrize("batch, count", [(1, 1), (3, 4), (9, 7), (17, 9), (70, 150)])
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


@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("batch", [1, 5, 40])
def test_fixed_model(batch, posed):
    inputs = make_inputs(batch, 1100, 17, posed, constant=("mean", "basis"))
    contract.assert_matches_twin(
        ops.evaluate_morphable, reference.evaluate_morphable, inputs, atol=1e-3
    )


@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("singular", ["scale", "rotation", "nearly"])
def test_poses_without_an_inverse_have_gradients(batch, singular):
    inputs = [t.detach() for t in make_inputs(batch)]
    item = batch // 2
    if singular == "scale":
        inputs[3][item] = 0
    elif singular == "rotation":
        inputs[4][item, 2] = 2 * inputs[4][item, 0]
    else:
        inputs[4][item, 2] = inputs[4][item, 0] + 1e-4 * inputs[4][item, 2]
    inputs = inputs[:2] + [t.requires_grad_() for t in inputs[2:]]
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_pose_gradients_keep_their_digits_far_from_the_origin(batch):
    inputs = make_inputs(batch, vertices=50, constant=("mean", "basis"))
    with torch.no_grad():
        inputs[-1][batch // 2] *= 1e4
    _, expected = contract.run_with_gradients(reference.evaluate_morphable, inputs)
    actual = contract.run_with_gradients(
        ops.evaluate_morphable, contract.cast(inputs, torch.float32)
    )[1]
    for a, e in zip(actual, expected, strict=True):
        error = (a - e).abs().max() / e.abs().max()
        assert error < 3e-6


def test_poses_do_not_change_how_others_in_the_batch_are_computed():
    inputs = [t.detach().float() for t in make_inputs(batch=5)]
    inputs[3:] = [t.requires_grad_() for t in inputs[3:]]
    expected = contract.run_with_gradients(ops.evaluate_morphable, inputs)[1]
    with torch.no_grad():
        inputs[3][1], inputs[5][2] = 0, 1e6
    actual = contract.run_with_gradients(ops.evaluate_morphable, inputs)[1]
    for a, e in zip(actual, expected, strict=True):
        assert torch.equal(a[[0, 3, 4]], e[[0, 3, 4]])


def test_rotation_may_be_any_matrix():
    inputs = make_inputs(constant=("mean", "basis"))
    generator = torch.Generator().manual_seed(4)
    stretch = 0.3 * torch.randn(3, 3, 3, generator=generator, dtype=torch.float64)
    inputs[4] = (inputs[4].detach() + stretch).requires_grad_()
    contract.assert_matches_twin(ops.evaluate_morphable, reference.evaluate_morphable, inputs)
    contract.assert_gradients(ops.evaluate_morphable, inputs)


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
@pytest.mark.parametrize("batch, count", [(1, 3), (9, 40), (20, 7), (70, 150)])
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


def realistic_basis(vertices=5000, identities=80, expressions=64):
    """Smooth displacement fields (P, V, 3) in mm, float64: identities as the modes of a scanned
    model, from 8 mm falling off, and expressions up to an open mouth."""
    generator = torch.Generator().manual_seed(2)
    points = torch.randn(vertices, 3, generator=generator, dtype=torch.float64)
    points = points / points.norm(dim=1, keepdim=True)
    count = identities + expressions
    waves = 2 * torch.randn(6, 3, count, generator=generator, dtype=torch.float64)
    phases = 7 * torch.rand(6, 1, count, 3, generator=generator, dtype=torch.float64)
    fields = ((points @ waves)[..., None] + phases).sin().sum(0).transpose(0, 1)
    rank = torch.arange(1, count + 1, dtype=torch.float64)
    largest = torch.cat((8 * rank[:identities] ** -0.7, 35 * rank[:expressions] ** -0.7))
    return fields / fields.abs().amax((1, 2), keepdim=True) * largest[:, None, None]


@pytest.mark.parametrize("batch", [1, 16])
def test_quantized_basis_is_within_a_thousandth_of_a_millimetre(batch):
    basis, generator = realistic_basis(), torch.Generator().manual_seed(3)
    mean = 80 * torch.randn(basis.shape[1:], generator=generator, dtype=torch.float64)
    coefficients = 6 * torch.rand(batch, len(basis), generator=generator, dtype=torch.float64) - 3
    coefficients[:, 80:] = coefficients[:, 80:].abs() / 3  # expressions go from 0 to 1
    expected = reference.evaluate_morphable(mean, basis, coefficients)
    reach = torch.ones(len(basis))
    reach[:80] = 3
    quantized = ops.quantize_basis(basis.float(), reach)
    assert quantized.values.dtype == torch.int16 and len(quantized.repeated) < len(basis) / 4
    actual = ops.evaluate_morphable(mean.float(), quantized, coefficients.float())
    assert (actual - expected).abs().max() < 1e-3


def quantized_inputs(**options):
    mean, basis, *rest = make_inputs(constant=("basis",), **options)
    quantized = ops.quantize_basis(basis, error=1.5e-4)
    assert 0 < len(quantized.repeated) < len(basis)  # some fields are repeated, not all
    return quantized, [mean, *rest]


@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 17])
def test_quantized_basis_matches_twin(posed, batch):
    quantized, inputs = quantized_inputs(batch=batch, vertices=333, posed=posed)

    def cast(value):
        return quantized._replace(steps=quantized.steps.to(value))

    contract.assert_matches_twin(
        lambda mean, *rest: ops.evaluate_morphable(mean, cast(mean), *rest),
        lambda mean, *rest: reference.evaluate_morphable(mean, cast(mean), *rest),
        inputs,
    )


def test_quantized_basis_threads():
    quantized, inputs = quantized_inputs(batch=9, vertices=5000)
    quantized = quantized._replace(steps=quantized.steps.float())
    contract.assert_thread_counts_agree(
        lambda mean, *rest: ops.evaluate_morphable(mean, quantized, *rest), inputs
    )


def test_quantized_basis_opcheck_and_compile():
    quantized, inputs = quantized_inputs()
    quantized = quantized._replace(steps=quantized.steps.float())
    mean, _, *pose = contract.cast(inputs, torch.float32)
    factors = torch.randn(3, len(quantized.values), requires_grad=True)
    contract.assert_opcheck(
        torch.ops.pgnface.evaluate_morphable.default, [mean, quantized.values, factors, *pose]
    )
    contract.assert_compiles(
        lambda mean, *rest: ops.evaluate_morphable(mean, quantized, *rest), inputs
    )


@contract.needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("batch", [1, 16, 70])
def test_quantized_basis_cuda(batch):
    quantized, inputs = quantized_inputs(batch=batch, vertices=5000)
    on = {
        device: ops.QuantizedBasis(
            quantized.values.to(device),
            quantized.steps.to(device, torch.float32),
            quantized.repeated.to(device),
        )
        for device in ("cpu", "cuda")
    }
    contract.assert_cuda_matches_cpu(
        lambda mean, *rest: ops.evaluate_morphable(mean, on[mean.device.type], *rest),
        inputs,
        atol=1e-2,
    )


def test_quantizing_empty_and_zero_fields():
    for shape in ((0, 5, 3), (2, 0, 3)):
        assert ops.quantize_basis(torch.zeros(shape)).dequantize().shape == shape
    basis = torch.zeros(2, 5, 3)
    basis[1, 2] = 7.0
    assert torch.equal(ops.quantize_basis(basis).dequantize(), basis)


def test_wrong_quantized_basis():
    mean, basis, coefficients, *_ = (t.detach() for t in make_inputs())
    quantized = ops.quantize_basis(basis)
    with pytest.raises(ValueError, match="asks for gradients"):
        ops.quantize_basis(basis.requires_grad_())
    with pytest.raises(TypeError, match=r"quantize_basis: basis must be floating point"):
        ops.quantize_basis(quantized.values)
    with pytest.raises(TypeError, match=r"basis must be floating point, got torch\.int16"):
        ops.evaluate_morphable(mean, quantized.values, coefficients)
    with pytest.raises(TypeError, match=r"basis\.values must be torch\.int16, got .*float64"):
        ops.evaluate_morphable(mean, quantized._replace(values=basis), coefficients)
    with pytest.raises(ValueError, match=r"basis\.steps must have shape \(Q\)"):
        ops.evaluate_morphable(mean, quantized._replace(steps=quantized.steps[1:]), coefficients)
    with pytest.raises(TypeError, match=r"basis\.repeated must be torch\.int64, got .*int32"):
        repeated = quantized.repeated.int()
        ops.evaluate_morphable(mean, quantized._replace(repeated=repeated), coefficients)
    with pytest.raises(ValueError, match=r"coefficients must have shape \(N, P\) with P=5"):
        ops.evaluate_morphable(mean, quantized, coefficients[:, 1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": 0.0}, "error must be above 0, got 0"),
        ({"error": float("nan")}, "error must be above 0, got nan"),
        ({"reach": torch.ones(4)}, r"reach must have shape \(P\) with P=5, got \(4,\)"),
        ({"reach": torch.ones(5, 1)}, r"reach must have shape \(P\) with P=5, got \(5, 1\)"),
        ({"reach": -1.0}, "reach must be 0 or more, got -1"),
    ],
)
def test_wrong_options_of_quantizing(options, message):
    with pytest.raises(ValueError, match="quantize_basis: " + message):
        ops.quantize_basis(torch.ones(5, 7, 3), **options)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_quantized_as_it_is(dtype):
    basis = (torch.randn(3, 50, 3) * 0.01).to(dtype)
    difference = ops.quantize_basis(basis).dequantize() - basis.float()
    assert difference.abs().max() < 1e-6


def test_a_basis_that_is_not_finite_cannot_be_quantized():
    with pytest.raises(ValueError, match="quantize_basis: basis must be finite"):
        ops.quantize_basis(torch.tensor([[[0.0, float("nan"), 1.0]]]))
