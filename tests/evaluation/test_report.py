import json

import numpy as np
import pytest
import torch
from PIL import Image

from pgnface._errors import UserError
from pgnface.evaluation.metrics import error_by_yaw, mean_pose_error
from pgnface.evaluation.plots import Tile, contact_sheet, plot_cumulative_error
from pgnface.evaluation.report import Report, print_report


def make_report(**more):
    errors = error_by_yaw(torch.tensor([2.0, 4.0]), torch.tensor([5.0, 80.0]))
    rotation = torch.eye(3).expand(2, 3, 3)
    return Report(
        title="A benchmark",
        facts={"checkpoint": "x.safetensors", "images": 2},
        nme={"2d": {"position_map": errors, "mean_shape": errors}},
        pose={"as_predicted": mean_pose_error(rotation, rotation)},
        **more,
    )


def test_json_alone_on_stdout(capsys):
    print_report(make_report(shape={"network": 1.5}), as_json=True)
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["nme"]["2d"]["position_map"]["means"] == [2.0, None, 4.0]  # an empty bin
    assert numbers["nme"]["2d"]["position_map"]["mean"] == 3.0
    assert numbers["pose"]["as_predicted"]["count"] == 2
    assert numbers["shape_mm"] == {"network": 1.5} and numbers["images"] == 2


def test_tables(capsys):
    print_report(make_report(shape={"mean_face": 2.5}, skipped={"a.jpg": "is truncated [x]"}))
    text = capsys.readouterr().out
    for part in ("NME 2D", "position map", "geodesic", "mean face", "a.jpg: is truncated [x]"):
        assert part in text


def test_write_json(tmp_path):
    path = make_report().write_json(tmp_path / "new" / "folder")
    assert json.loads(path.read_text())["protocol"] == "A benchmark"


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        make_report().write_json(tmp_path / "file" / "folder")


def test_pictures(tmp_path):
    path = plot_cumulative_error({"a": torch.rand(9) * 5, "b": torch.rand(9)}, tmp_path / "c.png")
    assert Image.open(path).size[0] > 300
    points = np.random.default_rng(0).uniform(0, 32, (68, 2))
    tile = Tile(np.zeros((32, 32, 3), np.uint8), points, points + 1, "0.5 %")
    sections = {"Smallest errors": [tile] * 3, "Largest errors": [tile] * 8, "None": []}
    assert Image.open(contact_sheet(sections, tmp_path / "s.png")).size[1] > 300
