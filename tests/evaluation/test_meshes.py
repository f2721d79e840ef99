import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.evaluation.meshes import find_mesh, read_mesh, read_points

OBJ = """mtllib none.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 9 9 9
vt 0 0
vt 1 0
vt 1 1
f 1/1 2/2 3/3
f 1/2 3/1 4/3
"""


def test_vertices_stay_in_order_at_seams(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text(OBJ)
    mesh = read_mesh(path)
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert find_mesh(tmp_path / "a") == path


def test_polygons_are_cut(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n")
    assert read_mesh(path).triangles.shape == (2, 3)


def test_unusable_meshes(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_mesh(tmp_path / "a.obj")
    for text in ("v 0 0 0\n", "nonsense", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"):
        (tmp_path / "a.obj").write_text(text)
        with pytest.raises(UserError, match=r"a\.obj"):
            read_mesh(tmp_path / "a.obj")


def test_points(tmp_path):
    np.savetxt(tmp_path / "a.txt", np.arange(6.0).reshape(2, 3))
    assert read_points(tmp_path / "a.txt", 2).tolist() == [[0, 1, 2], [3, 4, 5]]
    np.save(tmp_path / "b.npy", np.array([{}], object))
    for name, count in (("a.txt", 3), ("b.npy", 1), ("c.npy", 1)):
        with pytest.raises(UserError, match=name):
            read_points(tmp_path / name, count)
