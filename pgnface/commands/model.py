"""``pgnface model``: face models of any known format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, subcommand


@dataclass
class Info:
    """Say what a face model holds, and whether its unit and axes look right."""

    file: Positional[Path]
    """File or folder of the model, or "default" for the built-in one."""
    landmarks: Path | None = None
    """File (.txt, .npy, .json) of the 68 landmarks' vertex ids, for a model without its own."""
    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        from pgnface.morphable import load_model
        from pgnface.morphable.description import describe_model, format_description
        from pgnface.morphable.load import model_format

        description = describe_model(load_model(self.file, landmarks=self.landmarks))
        description["format"] = model_format(self.file)
        print(json.dumps(description, indent=2) if self.json else format_description(description))


@dataclass
class Convert:
    """Write a face model of any known format as one .npz file, which loads faster."""

    input: Positional[Path]
    """File or folder of the model."""
    output: Positional[Path]
    """The .npz file to write."""
    landmarks: Path | None = None
    """File (.txt, .npy, .json) of the 68 landmarks' vertex ids, for a model without its own."""
    region: str | None = None
    """Of ICT-FaceKit's folder: "narrow face" (without ears and neck; the default), "face", "head"
    or "all"."""

    def run(self) -> None:
        from pgnface._errors import UserError
        from pgnface._output import prepare_folder
        from pgnface.morphable import load_model, save_model

        if self.output.suffix != ".npz":
            raise UserError(f"output: expected a name that ends in .npz, got {self.output}")
        prepare_folder(self.output.parent)
        model = load_model(self.input, landmarks=self.landmarks, region=self.region)
        save_model(model, self.output)
        for note in model.notes:
            print(f"note: {note}")
        print(f"{self.output}: {model.extra_repr()}")


@dataclass
class Transfer:
    """Carry landmarks, texture coordinates and regions from one face model to another by laying
    the one mean face on the other."""

    source: Positional[Path]
    """File or folder of the model that has them, or "default" for the built-in one."""
    target: Positional[Path]
    """File or folder of the model that gets them; it needs no landmarks of its own."""
    output: Positional[Path]
    """The .npz file to write."""
    parts: tuple[Literal["landmarks", "uv", "regions"], ...] = ("landmarks", "uv", "regions")
    """What to carry; the rest stays as the target has it."""

    def run(self) -> None:
        from pgnface._errors import UserError
        from pgnface._output import prepare_folder
        from pgnface.geometry.landmarks import LANDMARK_COUNT
        from pgnface.morphable import load_model, save_model
        from pgnface.morphable.transfer import transfer, with_annotations

        if self.output.suffix != ".npz":
            raise UserError(f"output: expected a name that ends in .npz, got {self.output}")
        prepare_folder(self.output.parent)
        source = load_model(self.source)
        # A model without landmarks cannot be read; these stand in until the carried ones come.
        stand_in = [0] * LANDMARK_COUNT if "landmarks" in self.parts else None
        target = load_model(self.target, landmarks=stand_in)
        carried = transfer(source, target.mean.numpy(), target.triangles.numpy())
        model = with_annotations(target, carried, self.parts)
        save_model(model, self.output)
        print(f"{self.output}: {model.extra_repr()}")
        print(f"carried from {source.name!r}: {', '.join(self.parts)}")
        beyond = float((carried.distances > 5).mean())
        print(f"vertices more than 5 mm from the source's surface: {100 * beyond:.1f} %")
        print(f"landmarks to their vertices: {carried.landmark_distances.mean():.2f} mm on average")


@dataclass
class Render:
    """Draw a face model as a contact sheet: mean, landmarks, texture coordinates, modes and
    expressions."""

    file: Positional[Path]
    """File or folder of the model, or "default" for the built-in one."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("model.png")
    """The picture to write (.png or .jpg)."""
    landmarks: Path | None = None
    """File (.txt, .npy, .json) of the 68 landmarks' vertex ids, for a model without its own."""
    tile: int = 220
    """Width and height of each face, in pixels."""
    modes: int = 6
    """Identity modes to show, at minus and plus --deviations."""
    expressions: int = 18
    """Expressions to show, evenly picked from all."""
    deviations: float = 3.0
    """Standard deviations of the identity modes."""

    def run(self) -> None:
        from PIL import Image

        from pgnface._errors import UserError
        from pgnface._output import prepare_folder
        from pgnface.morphable import load_model
        from pgnface.render.model_sheet import model_sheet

        if self.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise UserError(f"output: expected a name that ends in .png or .jpg, got {self.output}")
        prepare_folder(self.output.parent)
        sheet = model_sheet(
            load_model(self.file, landmarks=self.landmarks),
            tile=self.tile,
            modes=self.modes,
            expressions=self.expressions,
            deviations=self.deviations,
        )
        Image.fromarray(sheet).save(self.output)
        print(f"{self.output}: {sheet.shape[1]} x {sheet.shape[0]} pixels")


@dataclass
class FitLandmarks:
    """Fit a dense face to sparse 2D or 3D points, and say how sure each vertex is."""

    points: Positional[Path]
    """File (.pts, .npy, .txt, .json) of the 68 landmarks, or of other vertices with their ids."""
    model: str = "default"
    """Face model: the built-in one or a file."""
    output: Path = Path("pgnface-fit")
    """Folder for face.glb, face.ply, overlay.png, uncertainty.png and fit.json."""
    image: Path | None = None
    """The photo that 2D points belong to, for the overlay."""
    noise: float | None = None
    """Standard deviation of a coordinate, in the points' unit; default: estimated."""
    expression_std: float = 0.3
    """Prior standard deviation of the expressions."""
    jaw: Literal["auto", "use", "ignore"] = "auto"
    """Use the jaw's 17 landmarks; auto: not those of .pts, which lie on the visible contour."""

    def run(self) -> None:
        from pgnface.fitting import fit_file

        fit = fit_file(
            self.points,
            self.output,
            model=self.model,
            image=self.image,
            noise=self.noise,
            expression_std=self.expression_std,
            jaw=self.jaw,
        )
        print(f"residual {float(fit.residual[0]):.3g}, noise {float(fit.noise[0]):.3g}")
        print(f"face, pictures and numbers: {self.output}")


@dataclass
class Model:
    """Look at, draw, convert, annotate and fit face models."""

    action: (
        Annotated[Info, subcommand("info")]
        | Annotated[Convert, subcommand("convert")]
        | Annotated[Render, subcommand("render")]
        | Annotated[FitLandmarks, subcommand("fit-landmarks")]
        | Annotated[Transfer, subcommand("transfer")]
    )

    def run(self) -> None:
        self.action.run()
