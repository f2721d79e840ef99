"""Loading public encoder weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn


def load_encoder_weights(encoder: nn.Module, path: str | Path) -> None:
    """Load an encoder's weights, such as torchvision's ResNet-50, into it.

    The classifier (``fc.*``) is dropped, and a ``module.`` in front of all names too. Parameters
    that the encoder calls ``fresh`` may be missing, and keep their values.

    Args:
        encoder: from :func:`~pgnface.networks.encoders.build_encoder`.
        path: a ``.safetensors`` file, or a ``.pth`` or ``.pt`` state dict. Nothing but tensors is
            unpickled.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a file that cannot be read, or that does not hold this encoder's weights.
    """
    path = Path(path)
    state = {
        name.removeprefix("module."): value
        for name, value in _read(path).items()
        if not name.removeprefix("module.").startswith("fc.")
    }
    expected = encoder.state_dict()
    # Files written before torch 0.4.1 lack the batch counters, which inference does not use.
    fresh = getattr(encoder, "fresh", ())
    missing = [
        k
        for k in expected
        if not (k in state or k.endswith("num_batches_tracked") or k.startswith(fresh))
    ]
    unknown = [k for k in state if k not in expected]
    shapes = [k for k in state if k in expected and state[k].shape != expected[k].shape]
    for problem, names in (("lacks", missing), ("has unknown", unknown), ("has misshapen", shapes)):
        if names:
            raise ValueError(
                f"load_encoder_weights: {path} does not fit the encoder: it {problem} "
                f"{', '.join(names[:3])}{f' and {len(names) - 3} more' * (len(names) > 3)}"
            )
    encoder.load_state_dict(state, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"load_encoder_weights: no such file: {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"load_encoder_weights: cannot read {path}: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"load_encoder_weights: {path} must hold a state dict of tensors")
    return state
