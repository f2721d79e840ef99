"""Files of points, and what the command writes."""

import json

import numpy as np
import pytest
import torch
import trimesh

from pgnface import cli
from pgnface.fitting.files import read_sparse_points
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.morphable import save_model
from tests.models import tiny_model


def points_on_a_picture():
    """The tiny model's mean landmarks, turned by 20 degrees: ``(68, 3)`` pixels."""
    pose = Pose(
        torch.tensor(1.4),
        rotation_from_angles(torch.tensor([5.0, 20.0, 0.0])),
        torch.tensor([160.0, 150.0, 0.0]),
    )
    return apply_pose(pose, tiny_model().landmark_points()).double().numpy()


def test_formats_hold_the_same_points(tmp_path):
    points = points_on_a_picture()[:, :2]
    np.save(tmp_path / "a.npy", points)
    np.savetxt(tmp_path / "b.txt", points)
    (tmp_path / "c.json").write_text(json.dumps(points.tolist()))
    lines = "\n".join(f"{x + 0.5} {y + 0.5}" for x, y in points)  # their first pixel is at 1
    (tmp_path / "d.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    for name in ("a.npy", "b.txt", "c.json", "d.pts"):
        got = read_sparse_points(tmp_path / name)
        np.testing.assert_allclose(got.points, points, atol=1e-9)
        assert got.vertex_ids is None


def test_json_names_the_vertices_and_what_is_missing(tmp_path):
    content = {"points": [[1, 2, 3], [None, None, None]], "vertex_ids": [7, 9]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    got = read_sparse_points(tmp_path / "a.json")
    np.testing.assert_array_equal(got.points, [[1, 2, 3], [np.nan] * 3])
    assert got.vertex_ids.tolist() == [7, 9]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1 2\n3 4\n", "expected 68 landmarks, got 2 points"),
        ("a.txt", "one two\n", r"expected points in a .pts, .npy, .json or .txt file"),
        ("a.json", '{"ids": []}', r"expected points in a .pts, .npy, .json or .txt file"),
        ("a.json", '{"points": [[1, 2]], "vertex_ids": [1.5]}', "expected 1 whole numbers"),
        ("a.json", "[1, 2, 3]", "expected points .K, 2. or .K, 3."),
    ],
)
def test_other_contents_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sparse_points(tmp_path / name)


def test_the_command_writes_the_face(tmp_path, capsys):
    save_model(tiny_model(), tmp_path / "tiny.npz")
    points = points_on_a_picture()[:, :2]
    points[3] = np.nan
    np.save(tmp_path / "points.npy", points)
    output = tmp_path / "out"
    options = ["--model", str(tmp_path / "tiny.npz"), "--output", str(output), "--noise", "0.5"]
    cli.main(["model", "fit-landmarks", str(tmp_path / "points.npy"), *options])
    got = json.loads((output / "fit.json").read_text())
    assert got["points"] == 67 and got["noise"] == 0.5 and got["residual"] < 0.1
    assert abs(got["angles_degrees"]["yaw"] - 20) < 0.5 and abs(got["scale"] - 1.4) < 0.02
    assert 0 < got["radius95_mm"]["median"] < got["radius95_mm"]["largest"] < 20
    mesh = trimesh.load(output / "face.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, tiny_model().mean, atol=0.5)
    for name in ("face.glb", "overlay.png", "uncertainty.png"):
        assert (output / name).stat().st_size > 1000


def test_too_few_points_are_refused(tmp_path, capsys):
    points = np.full((68, 2), np.nan)
    points[:3] = 1
    np.save(tmp_path / "points.npy", points)
    with pytest.raises(SystemExit) as exit:
        cli.main(["model", "fit-landmarks", str(tmp_path / "points.npy")])
    assert exit.value.code == 2
    assert "expected at least 4 points, got 3" in capsys.readouterr().err
