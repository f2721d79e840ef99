from importlib.resources import files

import pytest
import torch
from torch import nn

from pgnface.networks.blazeface import BlazeFace, anchor_centres, load_blazeface
from pgnface.networks.blocks import BlazeBlock


@pytest.fixture
def network():
    return BlazeFace().eval().requires_grad_(False)


def test_anchors_of_the_published_network(network):
    logits, boxes, keypoints = network(torch.rand(2, 3, 128, 128))
    assert logits.shape == (2, 896) and boxes.shape == (2, 896, 4)
    assert keypoints.shape == (2, 896, 6, 2)
    logits, _, _ = network(torch.rand(1, 3, 64, 96))
    assert logits.shape == (1, 2 * 8 * 12 + 6 * 4 * 6)


def test_centres_of_cells():
    centres = anchor_centres(2, 3, 16, torch.device("cpu"))
    assert centres.tolist() == [[[8, 8], [24, 8], [40, 8]], [[8, 24], [24, 24], [40, 24]]]


def test_offsets_are_pixels_from_the_cell(network):
    for score, point in zip(network.scores, network.points, strict=True):
        nn.init.zeros_(score.weight)
        nn.init.zeros_(point.weight)
        nn.init.constant_(score.bias, 0.5)
    fine = torch.arange(32.0)
    network.points[0].bias.copy_(fine)
    network.points[1].bias.copy_(torch.arange(96.0) + 100)
    logits, boxes, keypoints = network(torch.rand(1, 3, 128, 160))
    assert (logits == 0.5).all()
    # The second anchor of the fine cell in row 1, column 2: the numbers 16 to 31.
    index = (1 * 20 + 2) * 2 + 1
    assert boxes[0, index].tolist() == [20 + 16, 12 + 17, 18, 19]
    assert keypoints[0, index, 5].tolist() == [20 + 30, 12 + 31]
    # The first anchor of the last coarse cell, centre (152, 120).
    index = -6
    assert boxes[0, index].tolist() == [152 + 100, 120 + 101, 102, 103]
    assert keypoints[0, index, 0].tolist() == [152 + 104, 120 + 105]


def test_finds_the_same_a_few_pixels_further():
    network = load_blazeface()
    image = torch.zeros(1, 3, 256, 256)
    image[:, :, 80:176, 80:160] = torch.rand(1, 3, 96, 80)
    near, far = (network(x).logits[0, :2048].view(32, 32, 2) for x in (image, image.roll(16, 3)))
    # Cells from which the network does not see the image's border.
    torch.testing.assert_close(far[10:22, 12:22], near[10:22, 10:20], atol=1e-3, rtol=1e-3)


def test_a_strided_block_is_padded_as_tensorflow_pads():
    block = BlazeBlock(1, 2, 2, nn.Identity()).requires_grad_(False)
    nn.init.ones_(block.pointwise.weight)
    for bias in (block.depthwise.bias, block.pointwise.bias):
        nn.init.zeros_(bias)
    kernel = block.depthwise.weight[0, 0]
    x = torch.rand(6, 6)
    padded = torch.zeros(7, 7)
    padded[:6, :6] = x
    expected = torch.empty(3, 3)
    for i in range(3):
        for j in range(3):
            expected[i, j] = (padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * kernel).sum()
    pooled = torch.stack([x[i : i + 2, j : j + 2].max() for i in (0, 2, 4) for j in (0, 2, 4)])
    found = block(x[None, None])[0]
    torch.testing.assert_close(found[0], expected + pooled.view(3, 3))
    torch.testing.assert_close(found[1], expected)  # the shortcut lacks this channel


def test_the_shipped_weights_are_small():
    assert (files("pgnface.networks") / "weights" / "blazeface.safetensors").stat().st_size < 3e5


def test_bad_input(network, tmp_path):
    with pytest.raises(ValueError, match=r"multiples of 16, got \(1, 3, 100, 128\)"):
        network(torch.rand(1, 3, 100, 128))
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_blazeface(tmp_path / "none.safetensors")
