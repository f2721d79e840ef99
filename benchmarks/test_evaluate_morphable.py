"""Vertices of a face model, with and without the pose in the same pass."""

import pytest

from pgnface.bench import cases
from pgnface.bench.meshes import face_mesh

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("torch")
@pytest.mark.parametrize("posed", [False, True], ids=["shape", "posed"])
@pytest.mark.parametrize("quantized", [False, True], ids=["float32", "16bit"])
def test_evaluate_morphable(
    compare, place, mesh, model, batch, posed, quantized, implementation, backward
):
    """torch always has the basis in float32, which is faster there than any other."""
    case = cases.evaluate_morphable(
        batch,
        len(face_mesh(mesh, model)[0]),
        posed=posed,
        quantized=quantized,
        device=place.device,
    )
    compare(case, implementation, backward)
