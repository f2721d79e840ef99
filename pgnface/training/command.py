"""The options of ``pgnface train``: a configuration, changed setting by setting."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import arg

from .config import TrainConfig, load_config, preset_names

DEFAULT = "synthetic"


@dataclass(frozen=True)
class TrainArguments:
    """Train a network on a configuration, any setting of which can be changed here.

    The run's folder holds checkpoints, the averaged weights (final.safetensors), a history and
    TensorBoard logs. The same command continues a run that was stopped.
    """

    settings: Annotated[TrainConfig, arg(name="")]
    config: str = DEFAULT
    """A YAML file, or a preset of the package."""


def parse_train(arguments: Sequence[str], prog: str = "pgnface train") -> TrainConfig:
    """The configuration that the arguments of ``pgnface train`` make.

    Ends the process with a message on unknown options, as command lines do.

    Raises:
        FileNotFoundError, ValueError: for a configuration file that is absent or wrong.
    """
    # The file is read first, as its settings are the defaults of all the other options.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", default=DEFAULT)
    chosen = first.parse_known_args(arguments)[0].config
    parsed = tyro.cli(
        TrainArguments,
        prog=prog,
        args=list(arguments),
        default=TrainArguments(settings=load_config(chosen), config=chosen),
        description=f"{TrainArguments.__doc__}\nPresets: {', '.join(preset_names())}.",
        config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff),
    )
    return parsed.settings
