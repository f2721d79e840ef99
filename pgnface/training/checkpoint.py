"""Weights to ship and checkpoints to continue from. Tensors are safetensors, the rest is JSON.

Nothing here unpickles, so a file from a stranger can be wrong but cannot run code.

A run's folder::

    config.yaml                     the configuration of the run
    checkpoints/step_00000500/      network, average and optimizer .safetensors; state.json
    best.safetensors                averaged weights at the best validation
    final.safetensors               averaged weights at the end
    history.jsonl, tensorboard/     logs
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pgnface import __version__
from pgnface.networks.config import NetworkConfig

from ._storage import (
    checksum,
    new_folder,
    read_json,
    read_tensors,
    write_tensors,
    write_text,
)
from .config import TrainConfig
from .structure import differences, from_plain, to_plain

if TYPE_CHECKING:
    from pgnface.morphable import MorphableModel
    from pgnface.networks import PoseGuidanceNetwork

_FORMAT = 1
#: Names of the weights that come with the package: the more accurate and the faster ones.
SHIPPED = ("default", "small")
_METADATA_KEY = "pgnface"
_PARTS = ("network", "average", "optimizer")
_STEP_FOLDER = re.compile(r"step_(\d{8,})")


def save_weights(
    network: PoseGuidanceNetwork,
    path: str | Path,
    *,
    model_name: str,
    half: bool = False,
    training: Mapping[str, Any] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a network as one ``.safetensors`` file that :func:`load_network` reads.

    Args:
        network: what to write.
        path: the file; it appears whole or not at all.
        model_name: what :func:`pgnface.morphable.load_model` is to be given on loading.
        half: store weights in half precision; for shipping.
        training: a JSON-able summary of the training, kept in the file's metadata.
        state: tensors to write instead of the network's own, such as an average of them.
    """
    header = {
        "format": _FORMAT,
        "pgnface": __version__,
        "network": to_plain(network.config),
        "model": model_name,
        "model_fingerprint": network.model.digest,
        "training": dict(training or {}),
    }
    tensors = dict(network.state_dict() if state is None else state)
    if half:
        # Small tensors (rotations, offsets, norms) would save nothing and lose precision.
        tensors = {
            k: t.half() if t.dtype == torch.float32 and t.numel() > 1024 else t
            for k, t in tensors.items()
        }
    write_tensors(Path(path), tensors, {_METADATA_KEY: json.dumps(header)})


def load_network(
    path: str | Path = "default",
    device: str | torch.device = "cpu",
    *,
    model: MorphableModel | None = None,
) -> PoseGuidanceNetwork:
    """A network in evaluation mode with its weights and its face model.

    Args:
        path: a ``.safetensors`` file, the folder of a training run (its final weights, or the
            averaged weights of its last checkpoint), or one of :data:`SHIPPED`.
        device: where to put it.
        model: the face model, where it cannot be loaded by the name stored with the weights.

    Raises:
        FileNotFoundError: when there are no such weights.
        ValueError: when the file is damaged, or belongs to another network or face model.
    """
    from pgnface.morphable import load_model
    from pgnface.networks import PoseGuidanceNetwork

    file = _weights_file(path)
    tensors, header = _read_weights(file)
    if model is None:
        try:
            model = load_model(header["model"])
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{file} needs the face model {header['model']}: {error}; "
                "give it as `model=`, or put it there"
            ) from error
    if header["model_fingerprint"] != (found := model.digest):
        raise ValueError(
            f"{file} was trained with another face model: {header['model']!r} with fingerprint "
            f"{header['model_fingerprint']}, got {model.name!r} with {found}"
        )
    network = PoseGuidanceNetwork(model, from_plain(NetworkConfig, header["network"]))
    load_state(network, tensors, file)
    return network.to(device).for_inference()


def read_header(path: str | Path) -> dict[str, Any]:
    """What a file of weights says of itself: network, face model, version and training."""
    return _read_weights(_weights_file(path))[1]


def load_state(network: nn.Module, tensors: Mapping[str, Tensor], origin: Path) -> None:
    """Fill a network, with an error that names what does not fit."""
    own = network.state_dict()
    problems = [f"{name} is missing" for name in own.keys() - tensors.keys()]
    problems += [f"{name} is unknown" for name in tensors.keys() - own.keys()]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if problems:
        listed = "; ".join(sorted(problems)[:5])
        raise ValueError(f"{origin} holds another network's weights: {listed}")
    network.load_state_dict(tensors)


def _weights_file(path: str | Path) -> Path:
    if str(path) in SHIPPED:
        file = Path(str(files("pgnface.networks") / "weights" / f"{path}.safetensors"))
        if not file.is_file():
            raise FileNotFoundError(
                "this installation ships no weights; name a file or a training run's folder"
            )
        return file
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"weights {path} do not exist")
    if (path / "average.safetensors").is_file():
        return path / "average.safetensors"
    checkpoint = latest_checkpoint(path)
    final = path / "final.safetensors"
    # A run continued after its end has a newer checkpoint than final weights.
    if final.is_file() and (
        checkpoint is None
        or _read_weights(final)[1]["training"].get("step", 0) >= _step_of(checkpoint)
    ):
        return final
    if checkpoint is None:
        raise FileNotFoundError(f"{path} holds neither final weights nor a checkpoint")
    return checkpoint / "average.safetensors"


def _read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, metadata = read_tensors(file)
    try:
        header = json.loads(metadata[_METADATA_KEY])
        present = {"network", "model", "model_fingerprint", "training"} <= header.keys()
    except (KeyError, ValueError, AttributeError):
        present = False
    if not present:
        raise ValueError(f"{file} holds no weights of pgnface: its metadata lack {_METADATA_KEY!r}")
    if header.get("format") != _FORMAT:
        raise ValueError(
            f"{file} has format {header.get('format')}, this version reads {_FORMAT}; "
            f"it was written by pgnface {header.get('pgnface')}"
        )
    return {k: t.float() if t.dtype == torch.float16 else t for k, t in tensors.items()}, header


@dataclass
class Checkpoint:
    """A point that a run continues from.

    Attributes:
        path: its folder.
        step: updates done.
        network, average, optimizer: tensors by name.
        state: the rest, as JSON.
    """

    path: Path
    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    run: Path,
    step: int,
    network: PoseGuidanceNetwork,
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a checkpoint of a run and drop old ones; it appears whole or not at all.

    Args:
        run: the run's folder.
        step: updates done.
        network: its present weights are written.
        average: averaged weights.
        optimizer: its moments are written by parameter name.
        config: of the run.
        state: JSON-able values to keep along.
        keep: newest checkpoints that stay.
    """
    path = run / "checkpoints" / f"step_{step:08d}"
    path.parent.mkdir(parents=True, exist_ok=True)
    training = {"step": step}
    with new_folder(path) as folder:
        save_weights(
            network, folder / "network.safetensors", model_name=config.model, training=training
        )
        save_weights(
            network,
            folder / "average.safetensors",
            model_name=config.model,
            training=training,
            state=average,
        )
        write_tensors(folder / "optimizer.safetensors", _optimizer_tensors(network, optimizer))
        content = {
            **state,
            "format": _FORMAT,
            "step": step,
            "model_fingerprint": network.model.digest,
            "config": to_plain(config),
            "checksums": {part: checksum(folder / f"{part}.safetensors") for part in _PARTS},
        }
        write_text(folder / "state.json", json.dumps(content, indent=1))
    for old in _checkpoints(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def latest_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint of a run's folder, if there is one."""
    found = _checkpoints(run)
    return found[-1] if found else None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's folder, or the newest one of a run's folder.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when a file is damaged; the message names it.
    """
    if not (path / "state.json").is_file():
        newest = latest_checkpoint(path)
        if newest is None:
            raise FileNotFoundError(f"{path} is no checkpoint and no run's folder with one")
        path = newest
    state = read_json(path / "state.json")
    tensors = {}
    for part in _PARTS:
        file = path / f"{part}.safetensors"
        tensors[part], _ = read_tensors(file)
        if checksum(file) != state.get("checksums", {}).get(part):
            raise ValueError(f"{file} is damaged: its checksum differs from the one in state.json")
    return Checkpoint(path=path, step=int(state["step"]), state=state, **tensors)


def require_same_run(checkpoint: Checkpoint, config: TrainConfig, fingerprint: str) -> list[str]:
    """Check that a checkpoint belongs to a configuration.

    Returns:
        The other settings that differ, as lines: a run may go on with another learning rate.

    Raises:
        ValueError: naming the fields, when the network or the face model differ.
    """
    saved, wanted = checkpoint.state.get("config", {}), to_plain(config)
    hard = differences(saved.get("network"), wanted["network"], "network")
    if checkpoint.state.get("model_fingerprint") != fingerprint:
        hard += differences(saved.get("model"), wanted["model"], "model") or [
            "model: same name, other numbers"
        ]
    if hard:
        raise ValueError(
            f"checkpoint {checkpoint.path} belongs to another configuration "
            f"(checkpoint != wanted): {'; '.join(hard)}"
        )
    ignored = {"network", "model", "output", "resume"}
    return differences(
        {k: v for k, v in saved.items() if k not in ignored},
        {k: v for k, v in wanted.items() if k not in ignored},
    )


def restore_optimizer(
    network: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`save_checkpoint` wrote of an optimizer."""
    parameters = dict(network.named_parameters())
    moments: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, kind = key.rpartition("/")
        if value.dim() > 0:
            # With the parameter's strides: other ones take another path, which rounds differently.
            value = torch.empty_like(parameters[name]).copy_(value)
        moments.setdefault(name, {})[kind] = value
    names = {parameter: name for name, parameter in parameters.items()}
    ordered = [names[p] for group in optimizer.param_groups for p in group["params"]]
    # load_state_dict places each tensor on its parameter's device, as the optimizer wants it.
    optimizer.load_state_dict(
        {
            "state": {i: moments[name] for i, name in enumerate(ordered) if name in moments},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _optimizer_tensors(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}/{kind}": value
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def _checkpoints(run: Path) -> list[Path]:
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    complete = [
        Path(entry.path)
        for entry in os.scandir(folder)
        if _STEP_FOLDER.fullmatch(entry.name) and entry.is_dir()
    ]
    return sorted(complete, key=_step_of)


def _step_of(path: Path) -> int:
    return int(_STEP_FOLDER.fullmatch(path.name).group(1))
