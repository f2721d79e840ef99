"""``pgnface export``: networks as files for other runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, subcommand

if TYPE_CHECKING:
    from pgnface.export import NamedOutputs

_Output = Annotated[Path, tyro.conf.arg(aliases=("-o",))]


@dataclass
class Onnx:
    """Write a network as an ONNX file and compare the two in ONNX Runtime."""

    photos: Positional[tuple[Path, ...]] = ()
    """Photos whose faces the file is compared on, beside noise."""
    checkpoint: str = "default"
    """Checkpoint to export; "default" and "small" are shipped."""
    output: _Output = Path("face.onnx")
    """The .onnx file to write."""
    vertices: bool = True
    """Without: leave the face's vertices and triangles out, most of the file."""
    position_map: bool = False
    """Put the UV position map among the outputs."""

    def run(self) -> None:
        from pgnface.export import compare_onnx, save_onnx

        module = _prepare(self, ".onnx")
        save_onnx(module, self.output)
        compare_onnx(module, self.output, self.photos)


@dataclass
class Torch:
    """Write a network as a torch.export program, which torch runs without pgnface."""

    checkpoint: str = "default"
    """Checkpoint to export; "default" and "small" are shipped."""
    output: _Output = Path("face.pt2")
    """The .pt2 file to write."""
    vertices: bool = True
    """Without: leave the face's vertices and triangles out, most of the file."""
    position_map: bool = False
    """Put the UV position map among the outputs."""

    def run(self) -> None:
        from pgnface.export import save_program

        save_program(_prepare(self, ".pt2"), self.output)


@dataclass
class Weights:
    """Write the weights of a network alone, in half precision: what is passed on."""

    checkpoint: str = "default"
    """Checkpoint to export; "default" and "small" are shipped."""
    output: _Output = Path("face.safetensors")
    """The .safetensors file to write."""
    half: bool = True
    """Without: single precision, twice the size."""

    def run(self) -> None:
        from pgnface.training.checkpoint import load_network, read_header, save_weights

        _prepare_output(self.output, ".safetensors")
        header = read_header(self.checkpoint)
        save_weights(
            load_network(self.checkpoint),
            self.output,
            model_name=header["model"],
            half=self.half,
            training=header["training"],
        )


@dataclass
class Export:
    """Write a network for other runtimes, with face model and solved pose, or its weights alone."""

    format: (
        Annotated[Onnx, subcommand("onnx")]
        | Annotated[Torch, subcommand("torch-export")]
        | Annotated[Weights, subcommand("weights")]
    )

    def run(self) -> None:
        self.format.run()
        print(f"{self.format.output}: {self.format.output.stat().st_size / 1e6:.1f} MB")


def _prepare(options: Onnx | Torch, suffix: str) -> NamedOutputs:
    """The network of the options, once the output is known to be writable."""
    from pgnface.export import NamedOutputs
    from pgnface.training import load_network

    _prepare_output(options.output, suffix)
    network = load_network(options.checkpoint)
    model = network.model
    print(
        f"the file holds a copy of the face model {model.name!r}: {model.license or 'no licence'}"
    )
    return NamedOutputs(network, vertices=options.vertices, position_map=options.position_map)


def _prepare_output(output: Path, suffix: str) -> None:
    from pgnface._errors import UserError
    from pgnface._output import prepare_folder

    if output.suffix != suffix:
        raise UserError(f"output: expected a name that ends in {suffix}, got {output}")
    prepare_folder(output.parent)
