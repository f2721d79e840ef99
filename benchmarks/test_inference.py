"""From face crops to landmarks, pose and posed vertices."""

import pytest

from pgnface.bench import steps

from .axes import IMPLEMENTATIONS


@IMPLEMENTATIONS("onnxruntime")
@pytest.mark.parametrize(
    "encoder, pixels",
    [("small", 128), ("mobile", 160), ("mobile_deep", 160), ("resnet50", 224)],
)
def test_inference(compare, place, batch, encoder, pixels, implementation):
    compare(steps.inference(encoder, batch, pixels, device=place.device), implementation)
