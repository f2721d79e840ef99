"""The page of benchmark results."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import summarize


def entry(median: float, **facts) -> dict:
    stats = {"median": median, "iqr": median / 10}
    return {"name": f"test_{facts['case']}[parameters]", "stats": stats, "extra_info": facts}


def result() -> dict:
    facts = {"case": "op", "group": "test_op-16", "place": "cpu1", "bytes": 1e6, "operations": 1e6}
    device = {"place": "cuda", "device_median": 1e-3, "device_iqr": 1e-4}
    return {
        "datetime": "2026-01-02",
        "machine_info": {
            "cpu": "a processor",
            "cores": 2,
            "torch": "2.9",
            "commit": "0123456789abcdef-dirty",
            "command": "pytest benchmarks --grid full",
            "limits": {"cpu1": {"bandwidth": 1e9, "arithmetic": 1e8}},
        },
        "benchmarks": [
            entry(0.02, **facts, implementation="pgnface"),
            entry(0.05, **facts, implementation="torch"),
            entry(9.0, case="op", group="test_op-gpu", **device, implementation="pgnface"),
            entry(0.03, case="call_overhead", **device, implementation="pgnface"),
            entry(0.4, case="step", place="cpu1", implementation="whole"),
            entry(0.1, case="step", place="cpu1", implementation="outside_network"),
            {"name": "test_other", "stats": {}, "extra_info": {}},
        ],
    }


def sections(page: str) -> dict[str, list[str]]:
    """Rows of each table, by its heading."""
    parts = page.split("### ")[1:]
    return {part.splitlines()[0]: part.strip().splitlines()[4:] for part in parts}


def test_ratios_and_shares():
    assert sections(summarize.page([result()])) == {
        "op": [
            "| 16 | 20.000 | 2.000 | 50 %, arithmetic | torch x2.50 |",
            "| gpu | 1.000 | 0.100 |  |  |",
        ],
        # What the host takes, also where the device's time is known.
        "call_overhead": ["| call_overhead cuda | 30.000 | 3.000 |  |  |"],
        "step": ["| step cpu1 | 400.000 | 40.000 |  | outside_network 25 % |"],
    }


def test_the_page_says_what_was_measured(tmp_path, capsys):
    path, page = tmp_path / "result.json", tmp_path / "page.md"
    path.write_text(json.dumps(result()))
    summarize.main([str(path)])
    shown = capsys.readouterr().out
    for fact in ("a processor, 2 cores", "torch 2.9", "0123456789ab with changes", "2026-01-02"):
        assert fact in shown
    assert "copies 1.0 GB/s" in shown and "`pytest benchmarks --grid full`" in shown
    summarize.main([str(path), str(path), "--output", str(page)])
    assert (
        page.read_text().startswith("# Benchmark results") and page.read_text().count("## a ") == 2
    )
