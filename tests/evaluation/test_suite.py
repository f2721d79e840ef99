import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from pgnface._errors import UserError
from pgnface.commands.evaluate import All
from pgnface.evaluation import suite
from pgnface.evaluation.metrics import error_by_yaw, mean_pose_error
from pgnface.evaluation.published import published_rows
from pgnface.evaluation.report import Report
from pgnface.evaluation.result import ErrorMap, Result, Table
from pgnface.evaluation.suite_report import write_suite_report

from .protocols.faces import face_mesh


def landmark_report(checkpoint="default", root="r"):
    errors = torch.tensor([2.0, 4.0, 9.0])
    table = error_by_yaw(errors, torch.tensor([5.0, 40.0, 80.0]))
    rotation = torch.eye(3).expand(2, 3, 3)
    return Report(
        title="AFLW2000-3D",
        facts={"checkpoint": checkpoint, "root": root},
        nme={"2d": {"position_map": table}},
        pose={"as_predicted": mean_pose_error(rotation, rotation)},
        errors={"position_map": errors},
    )


def scan_result(root, checkpoint="default"):
    vertices, triangles, _ = face_mesh(divisions=0)
    values = np.where(vertices[:, 1] > 0, np.nan, np.abs(vertices[:, 0]) / 50)
    return Result(
        title="NoW & others",
        facts={"root": root},
        tables=(Table("Distance, mm", ("median", "std"), {"all": (1.0, np.nan)}, key="now"),),
        errors={"a|b": np.array([0.5, 1.5])},
        skipped={"x.jpg": "no face <found>"},
        error_map=ErrorMap(vertices, triangles, values),
    )


@pytest.fixture
def benchmarks(monkeypatch):
    def fail(root, checkpoint="default"):
        raise UserError("no such data")

    functions = {"aflw2000": landmark_report, "now": scan_result, "realy": fail}
    monkeypatch.setattr(suite, "_function", functions.__getitem__)


def write_config(path, **content):
    path.write_text(yaml.safe_dump(content))
    return path


def test_one_report_of_all(benchmarks, tmp_path, capsys):
    runs = [{"benchmark": "aflw2000", "root": "a"}, {"benchmark": "now", "root": "b"}]
    config = write_config(tmp_path / "c.yaml", checkpoint="mine", method="my_method", runs=runs)
    All(config, tmp_path / "out").run()
    assert "NoW & others" in capsys.readouterr().out
    out = tmp_path / "out"
    numbers = json.loads((out / "report.json").read_text())
    assert numbers["method"] == "my_method" and numbers["results"][0]["checkpoint"] == "mine"
    table = numbers["results"][0]["tables"]["NME 2D, % of the box"]["position map"]
    assert table["60-90"] == 9 and table["mean of bins"] == 5
    peers = numbers["results"][1]["published"]["Distance, mm"]
    assert {"method", "values", "source"} == set(peers[0]) and len(peers) > 3
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and "NoW &amp; others" in page
    assert "no face &lt;found&gt;" in page and "Sources of published numbers" in page
    markdown = (out / "report.md").read_text()
    assert "| position map | 2.00 | 4.00 | 9.00 | 5.00 |" in markdown
    assert "| PRNet (ECCV 2018) [1] | 2.75 | 3.51 | 4.61 | 3.62 | - | - |" in markdown
    assert "| all | 1.00 | - |" in markdown and "1. Feng et al." in markdown
    latex = (out / "report.tex").read_text()
    assert r"NoW \& others" in latex and r"3DDFA\_V2" in latex and "position map & 2.00" in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 3
    for name in ("curves_1.png", "curves_2.png", "error_map_2.png"):
        assert np.asarray(Image.open(out / name)).std() > 1


def test_a_run_that_fails_is_told_and_the_others_are_made(benchmarks, tmp_path):
    runs = [{"benchmark": "realy", "root": "a"}, {"benchmark": "now", "root": "b"}]
    config = write_config(tmp_path / "c.yaml", runs=runs)
    with pytest.raises(UserError, match=r"1 of 2 runs failed: 1\. realy: no such data"):
        All(config, tmp_path / "out").run()
    assert "- 1. realy: no such data" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "a list of runs under the key 'runs'"),
        ({"runs": []}, "got no run"),
        ({"runs": [{"benchmark": "now", "root": "a"}], "seed": 1}, r"unknown keys \['seed'\]"),
        ({"runs": [{"benchmark": "mine"}]}, "run 1: expected a benchmark of aflw2000"),
        (
            {"runs": [{"benchmark": "now", "root": "a", "color": 1}]},
            r"run 1 \(now\): unknown option 'color'; known are root",
        ),
        ({"runs": [{"benchmark": "florence", "root": "a"}]}, "the option 'landmarks' is missing"),
        ({"runs": [{"benchmark": "synthetic", "output": "a"}]}, "unknown option 'output'"),
    ],
)
def test_wrong_files(content, message, tmp_path):
    with pytest.raises(UserError, match=message):
        suite.read_suite(write_config(tmp_path / "c.yaml", **content))


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="is no readable YAML"):
        suite.read_suite(tmp_path / "missing.yaml")
    (tmp_path / "c.yaml").write_text("runs: [")
    with pytest.raises(UserError, match="is no readable YAML"):
        suite.read_suite(tmp_path / "c.yaml")


def test_every_benchmark_can_be_asked_for(tmp_path):
    required = {"root": "r", "landmarks": "l", "videos": ["v"]}
    for name in suite.BENCHMARKS:
        import inspect

        known = inspect.signature(suite._function(name)).parameters
        run = {"benchmark": name, **{k: v for k, v in required.items() if k in known}}
        config = write_config(tmp_path / "c.yaml", runs=[run])
        assert suite.read_suite(config).runs[0].options["checkpoint"] == "default"


def test_published_numbers_have_a_source_and_belong_to_a_column():
    columns = {
        "aflw2000_2d": {"0-30", "30-60", "60-90", "mean of bins", "std", "all faces"},
        "aflw2000_pose": {"pitch", "yaw", "roll", "mean", "geodesic"},
        "now": {"median", "mean", "std", "images"},
        "florence_deng": {"mean", "std", "count"},
        "facewarehouse": {"mean", "std", "meshes"},
        "realy": {"nose", "mouth", "forehead", "cheek", "all"},
    }
    assert set(published_rows()) == set(columns)
    for key, rows in published_rows().items():
        for row in rows:
            assert set(row.values) <= columns[key] and len(row.source) > 20


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        write_suite_report(tmp_path / "file" / "out", [], method="m")
