"""Self-supervision: the multi-frame loss, and a step of training with its non-network part."""

import itertools

import pytest

from pgnface.bench import cases, steps

from .axes import IMPLEMENTATIONS, PASSES
from .conftest import note, time_call

FRAMES = 2


@PASSES
def test_multiframe_loss(compare, place, mesh, model, batch, size, backward):
    subjects = max(1, batch // FRAMES)
    case = steps.multiframe_loss(mesh, subjects, FRAMES, size, device=place.device, model=model)
    compare(case, backward=backward)


@PASSES
@IMPLEMENTATIONS("torch")
def test_census_distance(compare, scene, implementation, backward):
    compare(cases.census_distance(scene), implementation, backward)


@pytest.mark.parametrize("part", ["whole", "outside_network"])
@pytest.mark.parametrize("encoder, pixels", [("small", 128), ("resnet50", 224)])
def test_training_step(benchmark, place, encoder, pixels, part):
    """Sixteen unlabelled images; the share of what is neither encoder nor heads nor update."""
    step = steps.training_step(encoder, 16 // FRAMES, FRAMES, pixels, device=place.device)
    name = f"training step, {encoder} at {pixels}"
    note(benchmark, case=name, implementation=part, place=str(place))
    time_call(benchmark, itertools.repeat(getattr(step, part)), place)
