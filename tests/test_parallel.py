"""The thread pool: from C++, and through an op as Python uses it."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from pgnface import ops

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("c++")

# What the subprocesses share: an op with many chunks, and the number of the process's threads. The
# results are compared as bytes: torch's own comparison starts threads, and hangs in a child.
PRELUDE = """
import os, torch
from pgnface import ops
torch.set_num_threads(1)
torch.manual_seed(0)
source, target = torch.rand(4096, 20, 3), torch.rand(4096, 20, 3)

def result():
    return b"".join(part.numpy().tobytes() for part in ops.solve_pose(source, target))

expected = result()

def tasks():
    return len(os.listdir("/proc/self/task"))

def agrees():
    return result() == expected
"""


def run_script(body: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + body],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_from_cpp(tmp_path, sanitizer):
    program = tmp_path / "harness"
    sources = [ROOT / "tests/parallel_harness.cpp", ROOT / "csrc/common/parallel.cpp"]
    command = [COMPILER, "-std=c++17", "-O1", "-g", f"-fsanitize={sanitizer}", "-pthread"]
    command += [f"-I{ROOT / 'csrc'}", *map(str, sources), "-o", str(program)]
    build = subprocess.run(command, capture_output=True, text=True)
    if build.returncode != 0 and "sanitize" in build.stderr + build.stdout:
        pytest.skip(f"no {sanitizer} sanitizer")
    assert build.returncode == 0, build.stderr
    # The pool lives as long as the process, so its threads and memory are not leaks.
    environment = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "die_after_fork=0"}
    result = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_uses_as_many_threads_as_torch_says():
    run_script("""
before = tasks()
assert agrees() and tasks() == before, "one thread: no pool"
torch.set_num_threads(3)
assert agrees() and tasks() == before + 2, "three threads: the caller and two more"
torch.set_num_threads(2)
assert agrees() and tasks() == before + 2, "threads are kept"
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_in_a_forked_child():
    run_script("""
torch.set_num_threads(4)
assert agrees()
child = os.fork()
if child == 0:
    os._exit(0 if agrees() else 1)
assert os.waitpid(child, 0)[1] == 0
assert agrees()
""")


def test_serves_concurrent_python_threads():
    source, target = torch.rand(2000, 20, 3), torch.rand(2000, 20, 3)
    expected = ops.solve_pose(source, target)

    def agrees(_):
        fits = [ops.solve_pose(source, target) for _ in range(5)]
        return all(torch.equal(a, b) for fit in fits for a, b in zip(fit, expected, strict=True))

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(agrees, range(12)))
    finally:
        torch.set_num_threads(before)


def test_exits_cleanly_while_the_pool_is_idle():
    run_script("torch.set_num_threads(4)\nassert agrees()\n")
