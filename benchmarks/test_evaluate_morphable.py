"""Vertices of a face model, with and without the pose in the same pass."""

import pytest
import torch

from pgnface.bench import cases
from pgnface.bench.meshes import face_mesh

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("torch")
@pytest.mark.parametrize("posed", [False, True], ids=["shape", "posed"])
@pytest.mark.parametrize("basis", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_evaluate_morphable(
    compare, place, mesh, model, batch, posed, basis, implementation, backward
):
    vertices = len(face_mesh(mesh, model)[0])
    case = cases.evaluate_morphable(batch, vertices, posed=posed, basis=basis, device=place.device)
    compare(case, implementation, backward)
