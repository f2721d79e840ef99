"""Calls that go past torch's dispatcher must be told from those that may not."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pgnface import ops
from pgnface.ops import _library


def points(*shape: int) -> torch.Tensor:
    return torch.rand(*(shape or (2, 7, 3)))


class Seen(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        self.names.append(str(function))
        return function(*arguments, **(kwargs or {}))


def test_only_a_watched_call_goes_through_the_dispatcher(monkeypatch):
    with torch.profiler.profile() as profile:
        ops.solve_pose(points(), points())
    assert any(event.name == "pgnface::solve_pose" for event in profile.events())
    monkeypatch.setattr(_library, "_is_watched", lambda: False)
    with torch.profiler.profile() as profile:
        ops.solve_pose(points(), points())
    assert not any(event.name == "pgnface::solve_pose" for event in profile.events())


def test_dispatch_modes_see_the_op():
    with Seen() as seen:
        ops.solve_pose(points(), points())
    assert "pgnface.solve_pose.default" in seen.names


def test_function_modes_see_the_op():
    class Mode(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_function__(self, function, types, arguments=(), kwargs=None):
            self.names.append(str(function))
            return function(*arguments, **(kwargs or {}))

    with Mode() as mode:
        ops.solve_pose(points(), points())
    assert "pgnface.solve_pose.default" in mode.names


def test_fake_and_meta_tensors_give_shapes():
    with FakeTensorMode():
        assert ops.solve_pose(points(), points()).rotation.shape == (2, 3, 3)
    meta = torch.empty(2, 7, 3, device="meta")
    assert ops.solve_pose(meta, meta).rotation.is_meta


def test_a_lazily_negated_tensor_is_negated():
    source = points()
    lazy = torch._neg_view(source)
    assert lazy.is_neg()
    expected = ops.solve_pose(source, -source).rotation
    assert torch.equal(ops.solve_pose(source, lazy).rotation, expected)


def test_no_gradient_is_recorded_where_none_is_wanted():
    source = points().requires_grad_()
    with torch.no_grad():
        assert not ops.solve_pose(source, points()).scale.requires_grad
    with torch.inference_mode():
        assert ops.solve_pose(source, points()).scale.is_inference()
    assert ops.solve_pose(source, points()).scale.requires_grad


def test_a_second_derivative_is_refused():
    source = points().requires_grad_()
    scale = ops.solve_pose(source, points()).scale.sum()
    (grad,) = torch.autograd.grad(scale, source, create_graph=True)
    with pytest.raises(RuntimeError, match="solve_pose_backward has no derivative"):
        grad.sum().backward()


def test_a_version_of_torch_without_the_questions_gets_the_dispatcher(monkeypatch):
    monkeypatch.delattr(torch._C, "_len_torch_dispatch_stack")
    assert _library._is_watched()


def test_tensors_without_memory_of_their_own():
    points = torch.rand(2, 7, 3)
    zeros = ops.solve_pose(torch._efficientzerotensor((2, 7, 3)), points)
    torch.testing.assert_close(zeros, ops.solve_pose(torch.zeros(2, 7, 3), points))
    with pytest.raises(TypeError, match="solve_pose: source must be a dense tensor"):
        ops.solve_pose(points.to_sparse(), points)


def test_only_plain_tensors_that_are_alike_run_as_they_are():
    plain, double = points(), points().double()

    class Subclass(torch.Tensor):
        pass

    assert _library.runs_as_it_is(plain, points(), None)
    assert _library.runs_as_it_is(double, torch.nn.Parameter(double.clone(), requires_grad=False))
    for other in (
        double,
        plain.half(),
        plain.long(),
        plain.mT,
        plain.clone().requires_grad_(),
        plain.to_sparse(),
        plain.to("meta"),
        plain.as_subclass(Subclass),
        torch._neg_view(plain),
        torch._efficientzerotensor((2, 7, 3)),
        plain.tolist(),
    ):
        assert not _library.runs_as_it_is(plain, other)
        assert not _library.runs_as_it_is(other, plain)
    assert not _library.runs_as_it_is(None, plain)
    assert not _library.runs_as_it_is(plain.half(), plain.half())
    with Seen():
        assert not _library.runs_as_it_is(plain, plain)
    with torch.no_grad():
        assert _library.runs_as_it_is(plain, plain.clone().requires_grad_())


def test_the_short_way_gives_the_same_bits():
    source, target, weights = points(9, 20, 3), points(9, 20, 3), torch.rand(9, 20)
    for given in ((source, target), (source, target, weights)):
        short = ops.solve_pose(*given)
        with Seen() as seen:
            long = ops.solve_pose(*given)
        assert "pgnface.solve_pose.default" in seen.names
        assert all(torch.equal(a, b) for a, b in zip(short, long, strict=True))
