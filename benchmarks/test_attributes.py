"""What is computed at vertices: normals, visibility, colours."""

from pgnface.bench import cases

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("torch")
def test_vertex_normals(compare, scene, implementation, backward):
    compare(cases.vertex_normals(scene), implementation, backward)


@IMPLEMENTATIONS("torch")
def test_vertex_visibility(compare, scene, implementation):
    compare(cases.vertex_visibility(scene), implementation)


@PASSES
@IMPLEMENTATIONS("torch")
def test_sample_colors(compare, scene, implementation, backward):
    compare(cases.sample_colors(scene), implementation, backward)
