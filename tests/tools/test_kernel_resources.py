"""Reading the log of ``ptxas -v``."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from kernel_resources import Resources, parse, short_name

LOG = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN7pgnface11draw_kernelEPKfPi' for 'sm_90'
ptxas info    : Function properties for _ZN7pgnface11draw_kernelEPKfPi
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 82 registers, used 1 barriers, 16 bytes cumulative stack size, 4096 bytes smem
ptxas info    : Compile time = 25.0 ms
ptxas info    : Compiling entry function '_ZN7pgnface3addIfEEvPT_' for 'sm_90'
ptxas info    : Function properties for _ZN7pgnface3addIfEEvPT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 0 barriers
"""


def test_every_kernel_is_read():
    assert parse(LOG) == [
        Resources("draw_kernel", registers=82, spills=20, stack=16, shared=4096),
        Resources("add<float>", registers=12, spills=0, stack=0, shared=0),
    ]


@pytest.mark.parametrize(
    "mangled, name",
    [
        ("_ZN7pgnface12_GLOBAL__N_16kernelIfLb1EEEvPT_i", "kernel<float, true>"),
        ("not_mangled", "not_mangled"),
    ],
)
def test_names_are_short(mangled, name):
    assert short_name(mangled) == name
