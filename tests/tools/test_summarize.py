"""Tables of benchmark results."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import summarize


def entry(median: float, **facts) -> dict:
    stats = {"median": median, "iqr": median / 10}
    return {"name": f"test_{facts['case']}[parameters]", "stats": stats, "extra_info": facts}


def result() -> dict:
    facts = {"case": "op", "group": "op-16", "place": "cpu1", "bytes": 1e6, "operations": 1e6}
    device = {**facts, "group": "op-gpu", "place": "cuda", "device_median": 1e-3}
    return {
        "machine_info": {
            "cpu": "a processor",
            "torch": "2.9",
            "commit": "0123456789abcdef-dirty",
            "limits": {"cpu1": {"bandwidth": 1e9, "arithmetic": 1e8}},
        },
        "benchmarks": [
            entry(0.02, **facts, implementation="pgnface"),
            entry(0.05, **facts, implementation="torch"),
            entry(9.0, **device, device_iqr=1e-4, implementation="pgnface"),
            entry(0.4, case="step", place="cpu1", implementation="whole"),
            entry(0.1, case="step", place="cpu1", implementation="outside_network"),
        ],
    }


def test_ratios_and_shares():
    rows = summarize.table(result())[2:]
    assert rows[0] == "| op-16 | 20.000 | 2.000 | 50 % of arithmetic | torch x2.50 |"
    assert rows[1] == "| op-gpu | 1.000 | 0.100 |  |  |"
    assert rows[2] == "| step cpu1 | 400.000 | 40.000 |  | outside_network 25 % |"


def test_the_heading_says_what_was_measured(tmp_path, capsys):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result()))
    summarize.main([str(path)])
    assert "a processor, torch 2.9, commit 0123456789ab-dirty" in capsys.readouterr().out


def test_a_page_is_filled(tmp_path):
    path, page = tmp_path / "result.json", tmp_path / "page.md"
    path.write_text(json.dumps(result()))
    empty = "# Step\n<!-- results: {} -->\n{}\n<!-- end of results -->\nend\n"
    page.write_text(empty.format("test_step", "old") + empty.format("test_other", "kept"))
    summarize.main([str(path), "--fill", str(page)])
    once = page.read_text()
    assert "old" not in once and "kept" in once and once.count("outside_network 25 %") == 1
    assert "op-16" not in once and once.endswith("end\n")
    summarize.main([str(path), "--fill", str(page)])
    assert page.read_text() == once
