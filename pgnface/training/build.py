"""The parts of a run that its configuration describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, load_network, load_state
from .config import TrainConfig
from .loader import BatchSource

if TYPE_CHECKING:
    from pgnface.data.source import Source
    from pgnface.networks import PoseGuidanceNetwork


def find_checkpoint(config: TrainConfig) -> Checkpoint | None:
    """The checkpoint that a configuration wants to continue from.

    Raises:
        FileNotFoundError: when ``resume`` names none.
        ValueError: when it is damaged, or a run must start afresh in a folder that holds one.
    """
    if config.resume not in ("auto", "none"):
        return load_checkpoint(Path(config.resume))
    newest = latest_checkpoint(Path(config.output))
    if newest is None:
        return None
    if config.resume == "none":
        raise ValueError(
            f"output {config.output} already holds a run ({newest.name}); choose another folder, "
            "or resume: auto"
        )
    return load_checkpoint(newest)


def build_network(config: TrainConfig) -> PoseGuidanceNetwork:
    """The network of a configuration, with its initial weights."""
    from pgnface.morphable import load_model
    from pgnface.networks import PoseGuidanceNetwork
    from pgnface.networks.encoders import load_encoder_weights

    torch.manual_seed(config.seed)
    network = PoseGuidanceNetwork(load_model(config.model), config.network)
    if config.initial_weights is not None:
        start = load_network(config.initial_weights, model=network.model)
        load_state(network, start.state_dict(), Path(config.initial_weights))
    if config.encoder_weights is not None:
        load_encoder_weights(network.encoder, config.encoder_weights)
    return network


def build_source(config: TrainConfig, network: PoseGuidanceNetwork) -> BatchSource:
    """The mixture of a configuration's sources.

    Raises:
        ValueError: when it names none.
    """
    from pgnface.data import Mixture
    from pgnface.data import build_source as build

    if not config.data:
        raise ValueError("data must name at least one source of faces")
    size = config.network.image_size
    return Mixture(
        [
            (
                build(entry.source, network.model, size, config.crop_jitter, config.upright),
                entry.weight,
            )
            for entry in config.data
        ]
    )


def build_validation(config: TrainConfig, network: PoseGuidanceNetwork) -> dict[str, Source]:
    """The held-out sources of a configuration, by a name for the logs."""
    from pgnface.data import build_source as build

    sources = {}
    for source in config.validation:
        kind = getattr(source, "kind", "validation")
        name = kind if kind not in sources else f"{kind}_{len(sources)}"
        sources[name] = build(source, network.model, config.network.image_size)
    return sources
