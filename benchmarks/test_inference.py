"""From face crops to landmarks, pose and posed vertices."""

import pytest

from pgnface.bench import steps

from .axes import IMPLEMENTATIONS

ENCODERS = pytest.mark.parametrize(
    "encoder, pixels",
    [("small", 128), ("mobile", 160), ("mobile_deep", 160), ("resnet50", 224)],
)


@IMPLEMENTATIONS("onnxruntime")
@ENCODERS
def test_inference(compare, place, batch, encoder, pixels, implementation):
    compare(steps.inference(encoder, batch, pixels, device=place.device), implementation)


@ENCODERS
def test_two_looks(compare, place, batch, encoder, pixels):
    compare(steps.two_looks(encoder, batch, pixels, device=place.device), "pgnface")
