"""What every op promises, as assertions that the tests of each op share.

``op`` and ``twin`` take the same arguments; ``inputs`` are the arguments, float64, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

THREAD_COUNTS = (1, 2, 3, 8)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def tensors_of(output) -> list[Tensor]:
    """The tensors of an output, whether one or a tuple."""
    return [output] if isinstance(output, Tensor) else [t for t in output if t is not None]


def cast(inputs: Sequence, dtype: torch.dtype, device: str = "cpu") -> list:
    """Copies of the inputs with floating-point tensors in a dtype, leaves that require grad."""

    def one(value):
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point():
            return value.to(device)
        return value.detach().to(device, dtype, copy=True).requires_grad_(value.requires_grad)

    return [one(value) for value in inputs]


def run_with_gradients(op: Callable, inputs: Sequence) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and gradients of a fixed random functional of them by every input that asks."""
    outputs = tensors_of(op(*inputs))
    generator = torch.Generator().manual_seed(0)
    total = sum(
        (o * torch.rand(o.shape, generator=generator, dtype=torch.float64).to(o)).sum()
        for o in outputs
        if o.requires_grad
    )
    leaves = [i for i in inputs if isinstance(i, Tensor) and i.requires_grad]
    if not leaves or not isinstance(total, Tensor):
        return outputs, []
    return outputs, list(torch.autograd.grad(total, leaves))


def assert_matches_twin(op: Callable, twin: Callable, inputs: Sequence, **tolerance) -> None:
    """Values and gradients of op and twin agree in float64 and, more loosely, in float32."""
    expected = run_with_gradients(twin, cast(inputs, torch.float64))
    for dtype, limits in (
        (torch.float64, {"atol": 1e-9, "rtol": 1e-7}),
        (torch.float32, {"atol": 1e-4, "rtol": 1e-3, **tolerance}),
    ):
        actual = run_with_gradients(op, cast(inputs, dtype))
        for a, e in zip(actual[0] + actual[1], expected[0] + expected[1], strict=True):
            torch.testing.assert_close(a, e.to(a.dtype), **limits)


def assert_thread_counts_agree(op: Callable, inputs: Sequence) -> None:
    """The same bits, forward and backward, for any number of threads."""
    before = torch.get_num_threads()
    results = []
    try:
        for threads in THREAD_COUNTS:
            torch.set_num_threads(threads)
            results.append(run_with_gradients(op, cast(inputs, torch.float32)))
    finally:
        torch.set_num_threads(before)
    for outputs, grads in results[1:]:
        for a, b in zip(outputs + grads, results[0][0] + results[0][1], strict=True):
            assert torch.equal(a, b)


def assert_gradients(op: Callable, inputs: Sequence, **options) -> None:
    """``torch.autograd.gradcheck`` in float64."""
    assert torch.autograd.gradcheck(op, cast(inputs, torch.float64), **options)


def assert_accepts_strides(op: Callable, inputs: Sequence) -> None:
    """Non-contiguous arguments, and non-contiguous gradients coming back, give the same result."""

    def strided(value):
        if not isinstance(value, Tensor) or value.dim() == 0:
            return value
        copy = torch.stack([value, value], dim=-1)[..., 0].detach()
        return copy.requires_grad_(value.requires_grad)

    inputs = cast(inputs, torch.float32)
    expected = run_with_gradients(op, inputs)
    actual = run_with_gradients(op, [strided(value) for value in inputs])
    assert_accepts_transposed_gradients(op, inputs)
    for a, e in zip(actual[0] + actual[1], expected[0] + expected[1], strict=True):
        assert torch.equal(a, e)


def assert_accepts_transposed_gradients(op: Callable, inputs: Sequence) -> None:
    """Gradients that come back with permuted axes are read as what they are."""
    leaves = [i for i in inputs if isinstance(i, Tensor) and i.requires_grad]
    outputs = [o for o in tensors_of(op(*inputs)) if o.requires_grad]
    if not leaves:
        return
    grads = [torch.rand_like(o) for o in outputs]
    permuted = [g.mT.contiguous().mT if g.dim() > 1 else g for g in grads]
    expected = torch.autograd.grad(outputs, leaves, grads, retain_graph=True)
    for a, e in zip(torch.autograd.grad(outputs, leaves, permuted), expected, strict=True):
        assert torch.equal(a, e)


def assert_opcheck(torch_op, inputs: Sequence) -> None:
    """``torch.library.opcheck`` of the registered op."""
    torch.library.opcheck(torch_op, tuple(cast(inputs, torch.float32)))


def assert_compiles(op: Callable, inputs: Sequence) -> None:
    """``torch.compile(fullgraph=True)`` gives what eager gives, forward and backward."""
    torch._dynamo.reset()
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager")
    expected = run_with_gradients(op, cast(inputs, torch.float32))
    actual = run_with_gradients(compiled, cast(inputs, torch.float32))
    for a, e in zip(actual[0] + actual[1], expected[0] + expected[1], strict=True):
        torch.testing.assert_close(a, e)


def assert_cuda_matches_cpu(op: Callable, inputs: Sequence, **tolerance) -> None:
    """CUDA agrees with the CPU in float32, in the fast and in the deterministic mode."""
    expected = run_with_gradients(op, cast(inputs, torch.float32))
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            actual = run_with_gradients(op, cast(inputs, torch.float32, "cuda"))
        finally:
            torch.use_deterministic_algorithms(False)
        for a, e in zip(actual[0] + actual[1], expected[0] + expected[1], strict=True):
            torch.testing.assert_close(a.cpu(), e, **({"atol": 1e-4, "rtol": 1e-3} | tolerance))
