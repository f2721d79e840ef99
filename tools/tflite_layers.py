"""The layers of TFLite files, for the tools that convert public weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

Layer = tuple[str, list[np.ndarray]]

_WEIGHTED = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "PRELU": 1}


def read_layers(path: Path) -> list[Layer]:
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


class WeightQueue:
    """The layers with weights one after the other, as torch keeps them.

    Args:
        layers: from :func:`read_layers`.
        network: what the file should hold, for the message when it does not.
    """

    def __init__(self, layers: Iterable[Layer], network: str):
        self._layers = iter([layer for layer in layers if layer[0] in _WEIGHTED])
        self._network = network
        self.state: dict[str, torch.Tensor] = {}

    def _take(self, kind: str) -> list[torch.Tensor]:
        name, arrays = next(self._layers, ("the end", []))
        if name != kind or len(arrays) != _WEIGHTED[kind]:
            raise SystemExit(
                f"not {self._network}: expected {kind}, got {name} of {len(arrays)} arrays"
            )
        return [torch.from_numpy(array.copy()) for array in arrays]

    def convolution(self, name: str) -> None:
        """Put the next layer's weight and bias into ``state`` under a torch layer's name."""
        weight, bias = self._take("CONV_2D")
        self._put(name, weight.permute(0, 3, 1, 2), bias)

    def depthwise(self, name: str) -> None:
        """The same of a depthwise convolution."""
        weight, bias = self._take("DEPTHWISE_CONV_2D")
        self._put(name, weight.permute(3, 0, 1, 2), bias)

    def prelu(self, name: str) -> None:
        """The same of the slopes of a PReLU."""
        self.state[f"{name}.weight"] = self._take("PRELU")[0].flatten()

    def _put(self, name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.state[f"{name}.weight"], self.state[f"{name}.bias"] = weight.contiguous(), bias
