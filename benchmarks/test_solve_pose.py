"""Similarity fits of sets of 68 points, beside a batched SVD in torch (Umeyama) and RoMa."""

import itertools

import pytest
import torch

from pgnface import ops
from pgnface.bench import cases

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
    """The same call with nothing to do: what one fit is compared with."""
    nothing = torch.rand(0, 68, 3, device=place.device)
    note(benchmark, case="solve_pose call overhead", implementation="pgnface", place=str(place))
    time_call(benchmark, itertools.repeat(lambda: ops.solve_pose(nothing, nothing)), place)
