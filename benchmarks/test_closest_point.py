"""Nearest points of a face of the Basel Face Model's size, beside libigl and trimesh.

The tree is built in every call, as the peers do.
"""

import pytest

from pgnface.bench import cases

from .axes import IMPLEMENTATIONS, PASSES


@IMPLEMENTATIONS("igl", "trimesh")
@pytest.mark.parametrize("apart", [0.002, 0.05], ids=["near", "apart"])
@pytest.mark.parametrize("count", [5_000, 120_000], ids=["sample", "scan"])
def test_closest_point(compare, place, count, apart, implementation):
    if implementation == "trimesh" and count > 5_000:
        pytest.skip("takes minutes")
    compare(cases.closest_point(count, apart=apart, device=place.device), implementation)


@PASSES
def test_gradients(compare, place, backward):
    compare(cases.closest_point(device=place.device), "pgnface", backward)
