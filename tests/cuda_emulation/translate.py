"""Turns CUDA's launch syntax into C++: ``python translate.py source.cu result.cpp``."""

import re
import sys
from pathlib import Path

LAUNCH = re.compile(r"([A-Za-z_][\w:]*(?:<[^<>;]*>)?)\s*<<<(.*?)>>>\s*\(", re.DOTALL)
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w:]+)\s+(\w+)\[\];")


def translate(source: str) -> str:
    """The same program with kernels called through the emulation."""
    source = LAUNCH.sub(
        r"emulation::configure([&](auto... values) { \1(values...); }, \2)(", source
    )
    return DYNAMIC_SHARED.sub(r"auto* \2 = static_cast<\1*>(emulation::dynamic_shared());", source)


if __name__ == "__main__":
    text = translate(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(f'#line 1 "{sys.argv[1]}"\n{text}')
