#!/usr/bin/env python3
"""A Markdown table of a run's ratios: ``python benchmarks/summarize.py RESULT.json [MORE.json]``.

One row for each set of parameters: our median, its share of the least possible time when the file
holds the machine's limits, and how many times faster than each peer of the same run it is.

With ``--fill FILE.md`` the tables replace what stands in that file between
``<!-- results: TEST TEST... -->`` and ``<!-- end of results -->``, rows of these tests only.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

_SECTION = re.compile(
    r"(<!-- results: ([\w ]+) -->)(.*?)(<!-- end of results -->)", flags=re.DOTALL
)


def main(arguments: list[str]) -> None:
    """Print the tables of some results, or fill them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--fill", type=Path, metavar="FILE.md")
    options = parser.parse_args(arguments)
    results = [json.loads(path.read_text()) for path in options.results]
    if options.fill is None:
        print(tables(results))
        return

    def section(match: re.Match) -> str:
        filled = tables(results, match[2].split()) or match[3].strip("\n")
        return f"{match[1]}\n{filled}\n{match[4]}"

    text = options.fill.read_text()
    options.fill.write_text(_SECTION.sub(section, text))


def tables(results: list[dict], tests: list[str] | None = None) -> str:
    """Tables with their headings; those of some tests only, and only where there are rows."""
    parts = [(heading(result["machine_info"]), table(result, tests)) for result in results]
    return "\n\n".join("\n".join((top, "", *rows)) for top, rows in parts if len(rows) > 2)


def heading(machine: dict) -> str:
    """What was measured, and on what."""
    device = machine.get("cuda_device") or machine.get("cpu")
    commit, _, dirty = str(machine.get("commit")).partition("-")
    commit = commit[:12] + ("-" + dirty if dirty else "")
    return f"{device}, torch {machine.get('torch')}, commit {commit}"


def table(result: dict, tests: list[str] | None = None) -> list[str]:
    """Lines of Markdown, two of them the head."""
    groups: dict[str, dict[str, dict]] = defaultdict(dict)
    for entry in result["benchmarks"]:
        facts = entry["extra_info"]
        chosen = tests is None or entry["name"].split("[")[0] in tests
        if chosen and "implementation" in facts:
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
        name, beside = group.removeprefix("test_"), ", ".join(peers)
        lines.append(f"| {name} | {time * 1e3:.3f} | {spread * 1e3:.3f} | {share} | {beside} |")
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
