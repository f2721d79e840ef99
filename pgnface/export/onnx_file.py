"""Networks as ONNX files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import torch

from pgnface._errors import UserError

from .program import INPUT, NamedOutputs, describe_network, export_program, quiet

_OPSET = 20
_BATCH = "N"


def save_onnx(module: NamedOutputs, path: str | Path) -> None:
    """Write a module as one ONNX file, its description (:func:`describe_network`) in the metadata.

    The input is ``image`` (N, 3, S, S) for any N; the outputs are those of
    :class:`~pgnface.export.program.NamedOutputs`. Lists and numbers of the metadata are JSON. The
    file holds a copy of the face model's numbers.

    Raises:
        UserError: without the packages onnx and onnxscript, when the file cannot be written, or as
            :func:`~pgnface.export.program.export_program`.
    """
    require("onnx", "onnxscript")
    size = module.network.config.image_size
    with torch.no_grad():
        names = list(module(torch.zeros(1, 3, size, size)))
    program = export_program(module)
    with quiet():
        result = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=names,
            optimize=True,
            verbose=False,
        )
    graph = result.model.graph
    for value in (*graph.inputs, *graph.outputs):
        if value.name != "triangles":
            value.shape[0] = _BATCH
    for key, value in describe_network(module.network).items():
        text = value if isinstance(value, str) else json.dumps(value)
        result.model.metadata_props[key] = text
    try:
        result.save(str(path))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def require(*packages: str) -> None:
    """Raise a :class:`UserError` that says how to get a package which is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX files need the package {missing[0]}; "
            'it comes with `pip install "pgnface[export]"`'
        )
