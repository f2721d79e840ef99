"""The cases that benchmarks time: peers compute the same, and the floors are what they say."""

from itertools import islice

import pytest
import torch

from pgnface.bench import cases, steps
from pgnface.bench.case import Case, Floor
from pgnface.bench.inputs import Scene
from pgnface.ops import Fragments, rasterize
from tests.ops.contract import run_with_gradients, tensors_of


def small(size: int = 24) -> Scene:
    return Scene("builtin", 2, size)


MAKERS = {
    "evaluate_morphable": lambda: cases.evaluate_morphable(3, 40, 5, posed=False),
    "evaluate_morphable posed": lambda: cases.evaluate_morphable(3, 40, 5),
    "evaluate_morphable 16-bit": lambda: cases.evaluate_morphable(3, 40, 5, quantized=True),
    "solve_pose": lambda: cases.solve_pose(4),
    "solve_pose weighted": lambda: cases.solve_pose(4, weighted=True),
    "rasterize": lambda: cases.rasterize(small()),
    "interpolate": lambda: cases.interpolate(small()),
    "edge_gradient": lambda: cases.edge_gradient(small()),
    "vertex_normals": lambda: cases.vertex_normals(small(1000)),
    "vertex_visibility": lambda: cases.vertex_visibility(small()),
    "sample_colors": lambda: cases.sample_colors(small()),
    "closest_point": lambda: cases.closest_point(50, "builtin"),
    "census_distance": lambda: cases.census_distance(small()),
    "render": lambda: steps.render(small()),
    "render with edges": lambda: steps.render(small(), edges=True),
    "multi-frame loss": lambda: steps.multiframe_loss("builtin", 1, 2, 24),
    "inference": lambda: steps.inference("small", 2, 32),
    "two looks": lambda: steps.two_looks("small", 2, 32),
}


@pytest.fixture(params=MAKERS)
def case(request) -> Case:
    return MAKERS[request.param]()


def test_peers_compute_the_same(case):
    for peer in case.peers.values():
        pairs = ((case.run, case.inputs), (peer, case.peer_inputs or case.inputs))
        with torch.no_grad():  # where a peer may take another way
            values = [tensors_of(function(*inputs)) for function, inputs in pairs]
        (ours, grads), (theirs, peer_grads) = (run_with_gradients(*pair) for pair in pairs)
        for a, b in (*zip(*values, strict=True), *zip(ours, theirs, strict=True)):
            torch.testing.assert_close(a, b, atol=2e-3, rtol=1e-3)
        for a, b in zip(grads, peer_grads, strict=True):
            scale = float(a.abs().max())
            torch.testing.assert_close(a / scale, b / scale, atol=1e-3, rtol=1e-3)


def test_every_case_can_be_timed(case):
    for implementation in ("pgnface", *case.peers):
        for backward in (False, True) if case.backward else (False,):
            for call in islice(case.calls(implementation, backward=backward, rotate=1e5), 3):
                call()


@pytest.mark.parametrize(
    "name",
    ["evaluate_morphable", "evaluate_morphable posed", "evaluate_morphable 16-bit", "solve_pose",
     "solve_pose weighted", "edge_gradient", "sample_colors",
     "census_distance"],
)  # fmt: skip
def test_forward_floors_are_inputs_and_outputs(name):
    """Where all that is read is an input, and all that is written an output."""
    case = MAKERS[name]()
    inputs = case.inputs[:1] if name == "edge_gradient" else case.inputs
    moved = sum(t.nbytes for t in (*inputs, *tensors_of(case.run(*case.inputs))))
    # The residual of a fit is computed, but not returned by the case.
    assert case.forward.bytes == moved + (4 * 4 if name.startswith("solve_pose") else 0)


def test_the_product_dominates_the_operations():
    case = cases.evaluate_morphable(16, 100, 50)
    assert case.forward.operations == pytest.approx(2 * 16 * 100 * 3 * 50, rel=0.1)
    assert case.floor(True).operations == pytest.approx(2 * case.forward.operations, rel=0.1)
    assert case.floor(False) == case.forward


def test_colors_without_a_gradient_of_the_picture():
    scene = small()
    case = cases.sample_colors(scene, to_image=False)
    assert [t.requires_grad for t in case.inputs] == [False, True]
    unwritten = cases.sample_colors(scene).backward.bytes - case.backward.bytes
    assert unwritten == case.inputs[0].nbytes


def test_the_pixels_of_a_scene():
    scene = Scene("builtin", 3, 32)
    fragments: Fragments = rasterize(scene.vertices, scene.triangles, 32, 32)
    assert scene.covered == int(fragments.mask.sum()) and scene.pixels == 3 * 32 * 32
    assert 0.65 < scene.covered / scene.pixels < 0.8


def test_calls_rotate_through_memory():
    seen = []

    def run(x):
        seen.append(x.data_ptr())
        return x * 2

    case = Case("double", run, (torch.rand(1000, requires_grad=True),), Floor(8000), Floor(8000))
    # One copy and its result are 8,000 bytes; the first run only learns the result's shape.
    for call in islice(case.calls(rotate=30_000), 8):
        call()
    assert seen[1:5] == seen[5:9] and len(set(seen)) == 4
    seen.clear()
    for call in islice(case.calls(), 3):
        call()
    assert len(set(seen)) == 1


def test_a_training_step_and_its_part_outside_the_network():
    step = steps.training_step("small", 1, 2, 32)
    step.whole()
    step.outside_network()
    step.whole()
