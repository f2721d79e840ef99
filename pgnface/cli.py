"""The command ``pgnface <verb>``.

A verb is a dataclass whose fields are its options and whose ``run`` imports what it needs, so that
``pgnface --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, subcommand

from pgnface._errors import NothingFoundError
from pgnface.commands.data import Data
from pgnface.commands.evaluate import Evaluate
from pgnface.commands.experiment import Experiment
from pgnface.commands.export import Export
from pgnface.commands.model import Model
from pgnface.training.config import TrainConfig

# Exit codes beside 0: training diverged, wrong use or input, nothing found in good input, stopped
# by Ctrl-C.
EXIT_DIVERGED, EXIT_USER_ERROR, EXIT_NOTHING_FOUND, EXIT_INTERRUPTED = 1, 2, 3, 130


@dataclass
class Info:
    """Print versions, CPU features, threads and whether CUDA is built in and a device is seen."""

    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        from pgnface.info import collect_info, format_info

        info = collect_info()
        print(json.dumps(info, indent=2) if self.json else format_info(info))


@dataclass
class Demo:
    """Train a small network on rendered people, measure it on people it has never seen, and write
    an HTML report. Needs no data and no GPU."""

    minutes: float = 6.0
    """Time for training, in minutes; evaluation and report come on top (about a minute)."""
    output: Path = Path("pgnface-demo")
    """Folder for the report, the reconstructed head and the checkpoint."""
    model: str = "default"
    """Face model: the built-in one or a file."""
    seed: int = 0
    """Of the initial weights and the training data."""
    open: bool = False
    """Open the report in the browser."""

    def run(self) -> None:
        from pgnface.demo import run_demo

        report = run_demo(self.output, minutes=self.minutes, model=self.model, seed=self.seed)
        if self.open:
            import webbrowser

            webbrowser.open(report.as_uri())


@dataclass
class Reconstruct:
    """Find the faces in photos (or a video) and write their 3D meshes and overlays."""

    photos: Positional[tuple[Path, ...]]
    """Photos or video files."""
    output: Path = Path("pgnface-out")
    """Folder for the results."""
    checkpoint: str = "default"
    """Checkpoint to use; "default" and "small" are shipped."""
    detector: Literal["auto", "blazeface", "haar", "face-alignment", "none"] = "auto"
    """Face detector; auto: the built-in blazeface; none: the whole photo is the face."""
    box: tuple[float, float, float, float] | None = None
    """Box x0 y0 x1 y1 of the face in pixels, in place of a detector. Give it after the photos."""
    formats: tuple[Literal["glb", "obj", "ply"], ...] = ("glb", "obj", "ply")
    """Mesh formats."""
    every: int = 10
    """In a video, every how many frames one is used."""
    one_person: bool = False
    """All photos and frames show one person, whose shape they tell together."""

    def run(self) -> None:
        from pgnface.reconstruction import reconstruct_files

        reconstruct_files(
            self.photos,
            self.output,
            checkpoint=self.checkpoint,
            detector=self.detector,
            box=self.box,
            formats=self.formats,
            every=self.every,
            one_person=self.one_person,
        )


@dataclass
class Bench:
    """Time every kernel and composed step on this machine, beside torch, and say how far from the
    machine's limit it is. Takes less than a minute."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto: the GPU where it can be used."""
    threads: int | None = None
    """CPU threads; default: those of torch."""
    batch: int = 16
    """Faces in one call."""
    json: bool = False
    """Print the numbers and the machine's description as JSON and nothing else."""

    def run(self) -> None:
        from pgnface.bench import run_bench

        run_bench(self.device, threads=self.threads, batch=self.batch, as_json=self.json)


@dataclass
class Train:
    """Train a network on a configuration; `pgnface train --help` lists its settings."""

    settings: tyro.conf.Suppress[TrainConfig]

    def run(self) -> None:
        from pgnface.training import train

        result = train(self.settings)
        print(f"weights after {result.step} steps: {result.folder / 'final.safetensors'}")


Command = (
    Annotated[Info, subcommand("info")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Reconstruct, subcommand("reconstruct")]
    | Annotated[Experiment, subcommand("experiment")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Model, subcommand("model")]
    | Annotated[Data, subcommand("data")]
    | Annotated[Bench, subcommand("bench")]
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code.

    Errors of the user's input print one line on stderr; ``PGNFACE_DEBUG=1`` shows the traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _parse(arguments).run()
    except KeyboardInterrupt as stop:
        print(f"pgnface: {str(stop) or 'stopped'}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`pgnface info | head -1`); keep Python from saying so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, FloatingPointError) as error:
        if os.environ.get("PGNFACE_DEBUG"):
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"pgnface: error: {message}", file=sys.stderr)
        sys.exit(_exit_code(error))


def _parse(arguments: list[str]) -> Command:
    if arguments[:1] == ["train"]:
        # Its options are the settings of a file, so the file is read before they are parsed.
        from pgnface.training.command import parse_train

        return Train(parse_train(arguments[1:]))
    return tyro.cli(
        Command,
        prog="pgnface",
        description="3D faces from photos and videos, and the training of the network.",
        args=arguments,
        config=(
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.OmitArgPrefixes,
            tyro.conf.FlagCreatePairsOff,
        ),
    )


def _exit_code(error: Exception) -> int:
    if isinstance(error, FloatingPointError):
        return EXIT_DIVERGED
    return EXIT_NOTHING_FOUND if isinstance(error, NothingFoundError) else EXIT_USER_ERROR


if __name__ == "__main__":
    main()
