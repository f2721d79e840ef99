"""Similarity fits of sets of 68 points, beside a batched SVD in torch (Umeyama) and RoMa."""

import functools
import itertools

import pytest
import torch

from pgnface import ops
from pgnface.bench import cases
from pgnface.ops._library import register

from .axes import IMPLEMENTATIONS, PASSES
from .conftest import note, time_call


@PASSES
@IMPLEMENTATIONS("torch", "roma")
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("count", [1, 64, 4096, 65536])
def test_solve_pose(compare, place, count, weighted, implementation, backward):
    if count == 65536 and place.device == "cpu":
        pytest.skip("a size for GPUs")
    compare(
        cases.solve_pose(count, weighted=weighted, device=place.device), implementation, backward
    )


def test_call_overhead(benchmark, place):
    """The same call with nothing to do."""
    nothing = torch.rand(0, 68, 3, device=place.device)
    note(benchmark, case="solve_pose call overhead", implementation="pgnface", place=str(place))
    time_call(benchmark, itertools.repeat(lambda: ops.solve_pose(nothing, nothing)), place)


def test_bare_call(benchmark, place):
    """An op that only makes the four results of one fit: what one fit is compared with."""
    source = torch.rand(1, 68, 3, device=place.device)
    target = torch.rand(1, 68, 3, device=place.device)
    bare = _bare_op()

    def call():
        with torch.no_grad():
            bare(source, target)

    note(benchmark, case="bare call", implementation="pgnface", place=str(place))
    time_call(benchmark, itertools.repeat(call), place)


@functools.cache
def _bare_op():
    def make_results(source, target, weights=None):
        new = source.new_empty
        return new(1), new(1, 3, 3), new(1, 3), new(1)

    return register(
        "bare_call(Tensor source, Tensor target, Tensor? weights=None)"
        " -> (Tensor, Tensor, Tensor, Tensor)",
        make_results,
        make_results,
    )
