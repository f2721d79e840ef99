"""What the converters of public weights share."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from convert_blazeface import convert
from tflite_layers import WeightQueue

from pgnface.networks.blazeface import BlazeFace


def test_weights_change_their_order_of_axes():
    rng = np.random.default_rng(0)
    pixels = rng.random((4, 4, 3), np.float32)
    full = rng.random((5, 3, 3, 3), np.float32)  # out, y, x, in
    single = rng.random((1, 3, 3, 3), np.float32)  # 1, y, x, channel
    layers = [
        ("CONV_2D", [full, np.zeros(5, np.float32)]),
        ("ADD", []),
        ("DEPTHWISE_CONV_2D", [single, np.ones(3, np.float32)]),
        ("PRELU", [np.full((1, 1, 5), 0.25, np.float32)]),
    ]
    queue = WeightQueue(layers, "this")
    queue.convolution("a")
    queue.depthwise("b")
    queue.prelu("c")
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    found = F.conv2d(x, queue.state["a.weight"], queue.state["a.bias"])[0, :, 1, 0]
    np.testing.assert_allclose(found, np.einsum("oyxi,yxi->o", full, pixels[1:, :3]), rtol=1e-5)
    found = F.conv2d(x, queue.state["b.weight"], queue.state["b.bias"], groups=3)[0, :, 0, 1]
    expected = 1 + np.einsum("yxc,yxc->c", single[0], pixels[:3, 1:])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert queue.state["c.weight"].tolist() == [0.25] * 5


def test_blazeface_comes_back():
    network = BlazeFace()
    layers = []
    state = network.state_dict()
    # Layers lie in the file in the order of the network's.
    for name in [name.removesuffix(".weight") for name in state if name.endswith(".weight")]:
        weight, bias = state[f"{name}.weight"].numpy(), state[f"{name}.bias"].numpy()
        kind = "DEPTHWISE_CONV_2D" if name.endswith("depthwise") else "CONV_2D"
        order = (1, 2, 3, 0) if kind == "DEPTHWISE_CONV_2D" else (0, 2, 3, 1)
        layers.append((kind, [weight.transpose(order), bias]))
    for name, value in convert(layers).items():
        assert torch.equal(value, state[name].half()), name


def test_another_network_is_refused():
    queue = WeightQueue([("PRELU", [np.zeros(3, np.float32)])], "FaceMesh")
    with pytest.raises(SystemExit, match="not FaceMesh: expected CONV_2D, got PRELU of 1 arrays"):
        queue.convolution("stem")
    with pytest.raises(SystemExit, match="got the end of 0 arrays"):
        queue.convolution("stem")
