"""What is computed at vertices: normals, visibility, colours."""

from pgnface.bench import cases

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("torch")
def test_vertex_normals(compare, place, mesh, model, batch, implementation, backward):
    case = cases.vertex_normals(mesh, batch, device=place.device, model=model)
    compare(case, implementation, backward)


@IMPLEMENTATIONS("torch")
def test_vertex_visibility(compare, place, mesh, model, batch, size, implementation):
    case = cases.vertex_visibility(mesh, batch, size, device=place.device, model=model)
    compare(case, implementation)


@PASSES
@IMPLEMENTATIONS("torch")
def test_sample_colors(compare, place, mesh, model, batch, size, implementation, backward):
    case = cases.sample_colors(mesh, batch, size, device=place.device, model=model)
    compare(case, implementation, backward)
