import io

import numpy as np
import pytest
import trimesh

from pgnface._errors import UserError
from pgnface.reconstruction.export import save_mesh

VERTICES = np.array([[0, 0, 0], [100, 0, 0], [0, 50, 0], [0, 0, 10]], float)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
COLORS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize("suffix, unit", [("glb", 0.001), ("obj", 1.0), ("ply", 1.0)])
def test_round_trip_keeps_vertices_order_and_unit(tmp_path, suffix, unit):
    path = save_mesh(tmp_path / f"mesh.{suffix}", VERTICES, TRIANGLES, colors=COLORS)
    mesh = trimesh.load(path, process=False, force="mesh")
    assert np.allclose(mesh.vertices, VERTICES * unit, atol=1e-6)
    assert np.array_equal(mesh.faces, TRIANGLES)
    gray = mesh.visual.vertex_colors[3, 0]
    assert gray == (55 if suffix == "glb" else 128)  # glTF holds linear light
    assert (mesh.visual.vertex_colors[0, :3] == [255, 0, 0]).all()


def test_a_texture_keeps_its_orientation(tmp_path):
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:4, :, 0] = 255  # the upper half is red
    uv = np.array([[0.2, 0.1], [0.8, 0.1], [0.2, 0.9], [0.8, 0.9]])
    path = save_mesh(tmp_path / "mesh.glb", VERTICES, TRIANGLES, texture=texture, uv=uv)
    mesh = trimesh.load(path, process=False, force="mesh")
    colors = mesh.visual.to_color().vertex_colors[:, 0]
    assert (colors[:2] > 250).all() and (colors[2:] < 5).all()


def test_without_appearance(tmp_path):
    data = save_mesh(tmp_path / "mesh.ply", VERTICES, TRIANGLES).read_bytes()
    assert len(trimesh.load(io.BytesIO(data), file_type="ply", process=False).vertices) == 4


@pytest.mark.parametrize(
    "name, vertices, appearance, message",
    [
        ("mesh.stl", VERTICES, {}, "must end in one of glb, obj, ply"),
        ("mesh.ply", VERTICES[:, :2], {}, r"vertices must have shape \(\*, 3\), got \(4, 2\)"),
        ("mesh.ply", VERTICES, {"colors": COLORS[:2]}, r"colors must have shape \(4, 3\)"),
        ("mesh.glb", VERTICES, {"texture": np.zeros((2, 2, 3), np.uint8)}, "texture needs uv"),
        ("mesh.obj", VERTICES, {"texture": np.zeros((2, 2, 3), np.uint8)}, "holds colors"),
    ],
)
def test_bad_arguments(tmp_path, name, vertices, appearance, message):
    with pytest.raises(ValueError, match=message):
        save_mesh(tmp_path / name, vertices, TRIANGLES, **appearance)


def test_unwritable_path_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save_mesh(tmp_path / "file" / "mesh.ply", VERTICES, TRIANGLES)
