import re

import numpy as np
import torch

from pgnface.demo.html_report import Curve, Head, Person, write_report
from pgnface.evaluation.metrics import error_by_yaw, mean_pose_error
from pgnface.evaluation.report import Report
from pgnface.geometry import rotation_from_angles


def evaluation(nme, degrees, shape):
    errors = error_by_yaw(torch.full((4,), nme), torch.tensor([0.0, 40.0, 70.0, -70.0]))
    true = torch.eye(3).expand(4, 3, 3)
    predicted = rotation_from_angles(torch.full((4, 3), degrees))
    methods = {"position_map": errors, "posed_model": errors, "mean_shape": errors}
    return Report(
        title="",
        facts={"people": 2},
        nme={"2d": methods, "3d": methods},
        pose={"as_predicted": mean_pose_error(predicted, true)},
        shape={"network": shape, "mean_face": 2.0},
    )


def write(path):
    picture = np.zeros((8, 8, 3), np.uint8)
    points = np.random.default_rng(0).normal(size=(5, 3))
    return write_report(
        path / "index.html",
        before=evaluation(20.0, 9.0, 2.0),
        after=evaluation(4.0, 3.0, 1.5),
        curves={"A plot": [Curve("landmarks", [1, 2, 3], [3.0, 2.0, 1.0])]},
        people=[Person(picture, picture, picture, "NME <4 %")] * 2,
        head=Head(points, points, np.full((5, 3), 0.5), np.array([[0, 1, 2], [2, 3, 4]])),
        head_file="head.glb",
        facts={"Processor": "A & B"},
        training="Trained on <this> machine.",
    )


def test_the_report_carries_everything(tmp_path):
    page = write(tmp_path).read_text()
    assert "{{" not in page
    assert "80% less" in page and "25% less" in page and "20.00 → 4.00" in page
    assert "A &amp; B" in page and "NME &lt;4 %" in page
    assert page.count("data:image/png;base64,") == 6 and "<svg" in page
    # Nothing is fetched: the only addresses are XML namespaces and the like inside the SVG.
    assert not re.search(r'(src|href)="https?:', page)
