#!/usr/bin/env python3
"""Brings the public weights of MediaPipe's short-range BlazeFace into the package's form.

The weights lie in the wheel of mediapipe 0.10.14 (Apache-2.0):

    pip download --no-deps mediapipe==0.10.14
    unzip mediapipe-*.whl '*/face_detection_short_range.tflite'
    pip install tflite
    python tools/convert_blazeface.py \\
        mediapipe/modules/face_detection/face_detection_short_range.tflite \\
        pgnface/networks/weights/blazeface.safetensors

They are kept in half precision, as they are there.
"""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from safetensors.torch import save_file
from tflite_layers import Layer, WeightQueue, read_layers

from pgnface.networks.blazeface import BlazeFace


def convert(layers: list[Layer]) -> dict[str, torch.Tensor]:
    """The state dict of a :class:`BlazeFace`."""
    network = BlazeFace()
    queue = WeightQueue(layers, "BlazeFace")
    queue.convolution("stem")
    for i, trunk in enumerate(network.trunks):
        for j in range(len(trunk)):
            queue.depthwise(f"trunks.{i}.{j}.depthwise")
            queue.convolution(f"trunks.{i}.{j}.pointwise")
    for head in ("scores", "points"):
        for i in range(len(network.trunks)):
            queue.convolution(f"{head}.{i}")
    network.load_state_dict(queue.state)
    return {name: value.half() for name, value in queue.state.items()}


def main(blazeface: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Write the weights of BlazeFace.

    Args:
        blazeface: face_detection_short_range.tflite.
        output: a .safetensors file.
    """
    save_file(convert(read_layers(blazeface)), output)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
