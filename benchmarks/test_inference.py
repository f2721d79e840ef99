"""From face crops to posed vertices."""

import pytest

from pgnface.bench import steps


@pytest.mark.parametrize("encoder, pixels", [("small", 128), ("resnet50", 224)])
def test_inference(compare, place, batch, encoder, pixels):
    compare(steps.inference(encoder, batch, pixels, device=place.device))
