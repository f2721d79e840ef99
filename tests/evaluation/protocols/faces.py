"""A generated face as the scan and the prediction of a benchmark."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from pgnface.evaluation.metrics import Alignment
from tests.models import tiny_model

#: Somewhere else, and of another size.
ELSEWHERE = Alignment(
    0.01, Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix(), np.array([4.0, -7.0, 2.0])
)


def face_mesh(identity=(), divisions=1):
    """A face in mm: vertices ``(V, 3)``, triangles ``(T, 3)`` and vertex numbers ``(68,)``."""
    import torch

    model = tiny_model()
    coefficients = torch.zeros(model.identity_count)
    coefficients[: len(identity)] = torch.tensor(identity)
    vertices = model.vertices(coefficients).double().numpy()
    triangles = model.triangles.numpy()
    for _ in range(divisions):
        vertices, triangles = trimesh.remesh.subdivide(vertices, triangles)
    return vertices, triangles, model.landmarks.numpy()


def write_mesh(path, vertices, triangles):
    """Write an .obj, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in np.asarray(triangles) + 1]
    path.write_text("\n".join(lines) + "\n")
