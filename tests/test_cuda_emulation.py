"""The emulation that runs CUDA kernels on the CPU finds the mistakes it is there for."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cuda_emulation.translate import translate

INCLUDE = Path(__file__).resolve().parent / "cuda_emulation" / "include"
KERNELS = """
#include <cuda_runtime.h>

#include <cstdio>

__global__ void sum(const int* values, int* total, int count) {
  __shared__ int warps[2];
  int mine = int(threadIdx.x) < count ? values[threadIdx.x] : 0;
  for (int lanes = 16; lanes > 0; lanes /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, lanes);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x == 0) *total = warps[0] + warps[1];
}
template <typename T>
__global__ void reverse(T* values) {
  extern __shared__ T copies[];
  copies[threadIdx.x] = values[threadIdx.x];
#ifndef RACE
  __syncthreads();
#endif
  values[threadIdx.x] = copies[blockDim.x - 1 - threadIdx.x];
}
__global__ void half_a_warp_waits() {
  if (threadIdx.x < 16) __syncwarp();
  if (threadIdx.x >= 16) __syncthreads();
}
__global__ void shuffle_outside_its_mask() {
  if (threadIdx.x < 4) __shfl_sync(0xf, 1, 8);
}

int main(int, char** arguments) {
  int values[64], total = 0;
  for (int i = 0; i < 64; ++i) values[i] = i;
  const char test = arguments[1][0];
  try {
    if (test == 's') sum<<<1, 64>>>(values, &total, 60);
    if (test == 'r') reverse<int><<<1, 64, 64 * sizeof(int)>>>(values), total = values[0];
    if (test == 'w') half_a_warp_waits<<<1, 32>>>();
    if (test == 'm') shuffle_outside_its_mask<<<1, 32>>>();
  } catch (const std::exception& error) {
    std::puts(error.what());
    return 1;
  }
  std::printf("%d", total);
}
"""


@pytest.fixture(scope="module", params=["", "-DRACE"], ids=["right", "race"])
def program(request, tmp_path_factory):
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("emulation")
    (folder / "kernels.cpp").write_text(translate(KERNELS))
    flags = ["-std=c++17", "-isystem", INCLUDE, *request.param.split()]
    subprocess.run(["g++", *flags, "kernels.cpp", "-o", "kernels"], cwd=folder, check=True)
    return lambda *arguments: subprocess.run(
        [folder / "kernels", *arguments], capture_output=True, text=True
    ), request.param == "-DRACE"


def test_barriers_and_shuffles(program):
    run, race = program
    assert run("sum").stdout == str(sum(range(60)))
    # Without its barrier the first thread reads what the last has not written yet.
    assert (run("reverse").stdout == "63") is not race


@pytest.mark.parametrize(
    ("kernel", "message"),
    [("warp", "a barrier that others never reach"), ("mask", "a lane outside the mask")],
)
def test_mistakes_are_errors(program, kernel, message):
    result = program[0](kernel)
    assert result.returncode == 1
    assert message in result.stdout


def test_translation_keeps_template_arguments_and_multiple_lines():
    source = "draw<float, 4><<<dim3(grid, 2),\n  256, 0, stream>>>(a, b);"
    assert "draw<float, 4>(values...); }, dim3(grid, 2)," in translate(source)
