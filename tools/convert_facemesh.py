#!/usr/bin/env python3
"""Brings the public weights of FaceMesh's trunk into the form of the encoder "mobile".

The weights lie in the wheel of mediapipe 0.10.14 (Apache-2.0):

    pip download --no-deps mediapipe==0.10.14 && unzip mediapipe-*.whl '*/face_landmark.tflite'
    pip install tflite
    python tools/convert_facemesh.py mediapipe/modules/face_landmark/face_landmark.tflite OUTPUT

The file serves as ``encoder_weights`` of a training configuration.
"""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from safetensors.torch import save_file
from tflite_layers import Layer, WeightQueue, read_layers

from pgnface.networks.encoders import MobileEncoder
from pgnface.networks.pgn import PIXEL_DEVIATION, PIXEL_MEAN


def convert(layers: list[Layer]) -> dict[str, torch.Tensor]:
    """The state dict of a :class:`MobileEncoder`."""
    encoder = MobileEncoder()
    queue = WeightQueue(layers, "FaceMesh")
    queue.convolution("stem")
    queue.prelu("activation")
    for i, stage in enumerate(encoder.stages):
        for j in range(len(stage)):
            queue.depthwise(f"stages.{i}.{j}.depthwise")
            queue.convolution(f"stages.{i}.{j}.pointwise")
            queue.prelu(f"stages.{i}.{j}.activation")
    state = queue.state
    # The trunk sees pixels in [0, 1], ours has statistics removed from them.
    weight = state["stem.weight"]
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (PIXEL_MEAN, PIXEL_DEVIATION))
    state["stem.weight"] = weight * deviation
    state["stem.bias"] += (weight * mean).sum((1, 2, 3))
    encoder.load_state_dict(state)
    return state


def main(facemesh: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Write FaceMesh's trunk as an encoder's weights.

    Args:
        facemesh: face_landmark.tflite.
        output: a .safetensors file.
    """
    save_file(convert(read_layers(facemesh)), output)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
