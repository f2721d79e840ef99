"""Parametrizations that the suites share."""

import pytest

PASSES = pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward-backward"])


def IMPLEMENTATIONS(*peers: str):
    """Ours and its peers, in the same run."""
    return pytest.mark.parametrize("implementation", ["pgnface", *peers])
