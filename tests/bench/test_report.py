import json

import pytest
import torch

from pgnface.bench import Limits, machine, report
from pgnface.cli import main

NAMES = {
    *(
        "evaluate_morphable",
        "evaluate_morphable, 16-bit",
        "census_distance",
        "solve_pose",
        "rasterize",
    ),
    *("interpolate", "edge_gradient"),
    *("vertex_normals", "vertex_visibility", "sample_colors", "render", "render with edges"),
    *("multi-frame loss", "inference", "training step"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Sizes at which all is measured in seconds."""
    monkeypatch.setattr(report, "MESH", "builtin")
    monkeypatch.setattr(report, "SIZE", 24)
    monkeypatch.setattr(report, "SETS", 4)
    monkeypatch.setattr(report, "_BUDGET", 1e-4)
    monkeypatch.setattr(machine, "measure_limits", lambda device: Limits(1e10, 1e11))
    monkeypatch.setattr(machine, "rotation_size", lambda device: 0)


def test_the_table_names_every_op(capsys):
    before = torch.get_num_threads()
    main(["bench", "--batch", "2", "--threads", "1"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES) and "copies 10.0 GB/s" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert torch.get_num_threads() == before


def test_json(capsys):
    main(["bench", "--batch", "2", "--threads", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["limits"]["bandwidth"] == 1e10 and found["batch"] == 2
    assert {row["name"] for row in found["rows"]} == NAMES
    row = found["rows"][0]
    assert row["median"] > 0 and row["torch"] > 0 and row["bound"] in ("memory", "arithmetic")
    assert row["share"] == pytest.approx(
        max(row["bytes"] / 1e10, row["operations"] / 1e11) / row["median"]
    )


@pytest.mark.parametrize("arguments", [["--batch", "0"], ["--threads", "0"]])
def test_wrong_numbers(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *arguments])
    assert stop.value.code == 2 and "at least 1" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_a_device(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--device", "cuda"])
    assert stop.value.code == 2 and "CUDA cannot be used" in capsys.readouterr().err
