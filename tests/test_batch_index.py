"""Indices of pixels beyond 32 bits, without the memory for them."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("c++")
SOURCE = """
#include <cstdio>

#include "common/batch_index.h"

int main() {
  long long index, height, width;
  while (std::scanf("%lld %lld %lld", &index, &height, &width) == 3) {
    const pgnface::Pixel at = pgnface::pixel_at(index, height, width);
    std::printf("%lld %lld %lld\\n", (long long)at.image, (long long)at.row, (long long)at.column);
  }
}
"""


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_pixels_of_large_batches(tmp_path):
    (tmp_path / "pixel.cpp").write_text(SOURCE)
    command = [COMPILER, "-std=c++17", f"-I{ROOT / 'csrc'}", "pixel.cpp", "-o", "pixel"]
    subprocess.run(command, cwd=tmp_path, check=True)
    sizes = [(1, 1), (512, 512), (1, 2**31 - 1), (2**20, 2**20), (3, 2**32), (2**33, 5)]
    counts = [0, 1, 255, 65_537, 2**28]
    cases = [
        (image, row, column, height, width)
        for height, width in sizes
        for image in counts
        for row in {0, height // 2, height - 1}
        for column in {0, width // 3, width - 1}
        if (image + 1) * height * width < 2**63
    ]
    lines = [f"{(n * h + y) * w + x} {h} {w}" for n, y, x, h, w in cases]
    result = subprocess.run(
        [tmp_path / "pixel"], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert [tuple(map(int, line.split())) for line in result.stdout.splitlines()] == [
        case[:3] for case in cases
    ]
