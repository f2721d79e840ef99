"""The suites of ``benchmarks/`` run, and their results can be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_small_run_and_its_summary(tmp_path):
    result = tmp_path / "result.json"
    options = "--benchmark-max-time 0 --benchmark-min-rounds 1 --batch 1 --size 24 --mesh builtin"
    chosen = "test_rasterize or census or solve_pose and 64-plain or training_step and small"
    # Told of the worker of pytest-xdist that starts it, pytest-benchmark would refuse to time.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", ROOT / "benchmarks", "--rootdir", ROOT, "-q"),
            *("--device", "cpu", "--benchmark-only", "--benchmark-json", result),
            *(*options.split(), "-k", f"({chosen}) and not pytorch3d"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=outside,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    assert {"commit", "torch", "cpu", "last_level_cache"} <= found["machine_info"].keys()
    assert found["machine_info"]["limits"]["cpu1"]["bandwidth"] > 0
    facts = [entry["extra_info"] for entry in found["benchmarks"]]
    assert {"rasterize", "census_distance", "solve_pose"} <= {fact["case"] for fact in facts}
    assert all(fact["place"] == "cpu1" for fact in facts)
    page = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "summarize.py", result],
        capture_output=True,
        text=True,
    ).stdout
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert any("64-plain" in row and "torch x" in row and " %, " in row for row in rows)
    assert any("training step, small" in row and "outside_network" in row for row in rows)
    assert "--size 24 --mesh builtin" in page and "### solve_pose" in page
