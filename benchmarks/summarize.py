#!/usr/bin/env python3
"""A page of a run's results: ``python benchmarks/summarize.py RESULT.json... [--output PAGE.md]``.

A table for every test, with a row for each set of its parameters: our median, its share of the
least possible time, and how many times faster than each peer of the same run it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

_WALL_TIME = {"test_call_overhead"}  # which the host takes

_INTRODUCTION = """\
# Benchmark results

Written by [`benchmarks/summarize.py`](../benchmarks/summarize.py) from the JSON of runs of the
suites; not to be edited. How the times are taken: [benchmarks/README.md](../benchmarks/README.md).
What the floors are, what was tried and why: [performance.md](performance.md).

A row is named by its test's parameters: batch, side of the image, mesh, place (CPU threads or
CUDA), variant and pass. Times are medians with their interquartile range, on CUDA the device's own.
*of the limit*: the least possible time, by memory or by arithmetic, as a share of ours. *x2.00*:
the peer takes twice our time. *outside_network 10 %*: a part of ours."""


def main(arguments: list[str]) -> None:
    """Print the page of some results, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, metavar="PAGE.md")
    options = parser.parse_args(arguments)
    text = page([json.loads(path.read_text()) for path in options.results])
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text + "\n")


def page(results: list[dict]) -> str:
    """The whole page, in Markdown."""
    parts = [_INTRODUCTION]
    for result in results:
        parts += heading(result)
        tests: dict[str, list[dict]] = defaultdict(list)
        for entry in result["benchmarks"]:
            if "implementation" in entry["extra_info"]:
                tests[test_of(entry)].append(entry)
        limits = result["machine_info"].get("limits", {})
        for test, entries in tests.items():
            parts += [f"### {test.removeprefix('test_')}", "\n".join(table(entries, limits))]
    return "\n\n".join(parts)


def heading(result: dict) -> list[str]:
    """What was measured, on what, and how."""
    machine = result["machine_info"]
    commit, _, dirty = str(machine.get("commit")).partition("-")
    versions = (
        "pgnface",
        "torch",
        "roma",
        "pytorch3d",
        "nvdiffrast",
        "onnxruntime",
        "cuda_driver",
        "python",
        "platform",
    )
    lines = [
        f"- {machine.get('cpu')}, {machine.get('cores')} cores, "
        f"{machine.get('last_level_cache', 0) >> 20} MB last-level cache",
        "- " + ", ".join(f"{name} {machine[name]}" for name in versions if machine.get(name)),
        f"- commit {commit[:12]}{' with changes' if dirty else ''}, {result.get('datetime')}",
        *(
            f"- limits of {place}: copies {limit['bandwidth'] / 1e9:.1f} GB/s, "
            f"multiplies {limit['arithmetic'] / 1e9:.0f} Gflop/s"
            for place, limit in machine.get("limits", {}).items()
        ),
        f"- `{machine.get('command')}`",
    ]
    return [f"## {machine.get('cuda_device') or machine.get('cpu')}", "\n".join(lines)]


def table(entries: list[dict], limits: dict) -> list[str]:
    """Lines of Markdown, two of them the head, for the entries of a test."""
    groups: dict[str, dict[str, dict]] = defaultdict(dict)
    for entry in entries:
        facts = entry["extra_info"]
        group = facts.get("group") or f"{facts['case']} {facts['place']}"
        groups[group.removeprefix(test_of(entry) + "-")][facts["implementation"]] = entry
    lines = ["| case | ms | IQR | of the limit | beside it |", "|---|---|---|---|---|"]
    for group, found in groups.items():
        ours = found.pop("pgnface", None) or found.pop("whole", None)
        if ours is None:
            continue
        time, spread = seconds(ours)
        share = share_of_limit(ours["extra_info"], limits, time)
        beside = ", ".join(
            f"{name} {100 * seconds(other)[0] / time:.0f} %"
            if name == "outside_network"
            else f"{name} x{seconds(other)[0] / time:.2f}"
            for name, other in found.items()
        )
        lines.append(f"| {group} | {time * 1e3:.3f} | {spread * 1e3:.3f} | {share} | {beside} |")
    return lines


def test_of(entry: dict) -> str:
    """Name of the test without its parameters."""
    return entry["name"].split("[")[0]


def seconds(entry: dict) -> tuple[float, float]:
    """Median and interquartile range, of the device's own time where that was measured."""
    facts, stats = entry["extra_info"], entry["stats"]
    if "device_median" in facts and test_of(entry) not in _WALL_TIME:
        return facts["device_median"], facts["device_iqr"]
    return stats["median"], stats["iqr"]


def share_of_limit(facts: dict, limits: dict, time: float) -> str:
    """The least possible time over the measured one, and what bounds it."""
    limit = limits.get(facts["place"])
    if limit is None or not facts.get("bytes"):
        return ""
    least = {
        "memory": facts["bytes"] / limit["bandwidth"],
        "arithmetic": facts["operations"] / limit["arithmetic"],
    }
    binding = max(least, key=least.get)
    return f"{100 * least[binding] / time:.0f} %, {binding}"


if __name__ == "__main__":
    main(sys.argv[1:])
