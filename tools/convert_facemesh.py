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

import numpy as np
import torch
import tyro
from safetensors.torch import save_file

from pgnface.networks.encoders import MobileEncoder
from pgnface.networks.pgn import PIXEL_DEVIATION, PIXEL_MEAN


def read_layers(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """The layers of a TFLite file in their order: operator and constant inputs as float32."""
    import tflite

    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    operators = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    kinds = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32}

    def constant(index: int) -> np.ndarray | None:
        tensor = graph.Tensors(index)
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if not isinstance(data, np.ndarray) or tensor.Type() not in kinds:
            return None
        values = np.frombuffer(data.tobytes(), kinds[tensor.Type()])
        return values.reshape(tensor.ShapeAsNumpy()).astype(np.float32)

    constants, layers = {}, []
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = operators[code.DeprecatedBuiltinCode() or code.BuiltinCode()]
        inputs = operator.InputsAsNumpy()
        values = [constants.get(k, constant(k)) for k in inputs]
        if name == "DEQUANTIZE":  # half-precision weights
            constants[operator.Outputs(0)] = values[0]
        else:
            layers.append((name, [v for v in values if v is not None]))
    return layers


def convert(layers: list[tuple[str, list[np.ndarray]]]) -> dict[str, torch.Tensor]:
    """The state dict of a :class:`MobileEncoder`."""
    wanted = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "PRELU": 1}
    values = iter([layer for layer in layers if layer[0] in wanted])

    def take(kind: str) -> list[torch.Tensor]:
        name, arrays = next(values)
        if name != kind or len(arrays) != wanted[kind]:
            raise SystemExit(f"not FaceMesh: expected {kind}, got {name} of {len(arrays)} arrays")
        return [torch.from_numpy(array.copy()) for array in arrays]

    encoder = MobileEncoder()
    state = {}

    def put(name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = weight.contiguous(), bias

    # The trunk sees pixels in [0, 1], ours has statistics removed from them.
    weight, bias = take("CONV_2D")
    weight = weight.permute(0, 3, 1, 2)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (PIXEL_MEAN, PIXEL_DEVIATION))
    put("stem", weight * deviation, bias + (weight * mean).sum((1, 2, 3)))
    state["activation.weight"] = take("PRELU")[0].flatten()
    for i, stage in enumerate(encoder.stages):
        for j in range(len(stage)):
            name = f"stages.{i}.{j}"
            weight, bias = take("DEPTHWISE_CONV_2D")
            put(f"{name}.depthwise", weight.permute(3, 0, 1, 2), bias)
            weight, bias = take("CONV_2D")
            put(f"{name}.pointwise", weight.permute(0, 3, 1, 2), bias)
            state[f"{name}.activation.weight"] = take("PRELU")[0].flatten()
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
