#!/usr/bin/env python3
"""A Markdown table of a run's ratios: ``python benchmarks/summarize.py RESULT.json [MORE.json]``.

One row for each set of parameters: our median, its share of the least possible time when the file
holds the machine's limits, and how many times faster than each peer of the same run it is.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path


def main(paths: list[str]) -> None:
    """Print the tables of some results."""
    for path in paths:
        result = json.loads(Path(path).read_text())
        print(f"\n{heading(result['machine_info'])}\n")
        print("\n".join(table(result)))


def heading(machine: dict) -> str:
    """What was measured, and on what."""
    device = machine.get("cuda_device") or machine.get("cpu")
    commit, _, dirty = str(machine.get("commit")).partition("-")
    commit = commit[:12] + ("-" + dirty if dirty else "")
    return f"{device}, torch {machine.get('torch')}, commit {commit}"


def table(result: dict) -> list[str]:
    """Lines of Markdown."""
    groups: dict[str, dict[str, dict]] = defaultdict(dict)
    for entry in result["benchmarks"]:
        facts = entry["extra_info"]
        if "implementation" in facts:
            group = facts.get("group") or f"{facts['case']} {facts['place']}"
            groups[group][facts["implementation"]] = entry
    limits = result["machine_info"].get("limits", {})
    lines = [
        "| case | median, ms | IQR | share of the limit | beside it |",
        "|---|---|---|---|---|",
    ]
    for group, entries in groups.items():
        ours = entries.pop("pgnface", None) or entries.pop("whole", None)
        if ours is None:
            continue
        time, spread = seconds(ours)
        share = share_of_limit(ours["extra_info"], limits, time)
        peers = [
            f"{name} {100 * seconds(peer)[0] / time:.0f} %"  # a part of ours, not a peer
            if name == "outside_network"
            else f"{name} x{seconds(peer)[0] / time:.2f}"
            for name, peer in entries.items()
        ]
        lines.append(
            f"| {group} | {time * 1e3:.3f} | {spread * 1e3:.3f} | {share} | {', '.join(peers)} |"
        )
    return lines


def seconds(entry: dict) -> tuple[float, float]:
    """Median and interquartile range, of the device's own time where it was measured."""
    facts, stats = entry["extra_info"], entry["stats"]
    if "device_median" in facts:
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
    return f"{100 * least[binding] / time:.0f} % of {binding}"


if __name__ == "__main__":
    main(sys.argv[1:])
