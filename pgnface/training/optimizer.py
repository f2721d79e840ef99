"""AdamW over a network's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .config import TrainConfig

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork


def build_optimizer(network: PoseGuidanceNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) in three groups, each with its ``peak_lr``.

    Weight decay acts on matrices and convolutions only, not on biases, norms and the landmark
    offsets. Those are millimetres, far larger numbers than weights, and get a larger rate.
    """
    decayed, plain, offsets = [], [], []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.endswith("landmark_offsets"):
            offsets.append(parameter)
        elif parameter.dim() > 1:
            decayed.append(parameter)
        else:
            plain.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay, "peak_lr": config.lr},
        {"params": plain, "weight_decay": 0.0, "peak_lr": config.lr},
        {
            "params": offsets,
            "weight_decay": 0.0,
            "peak_lr": config.lr * config.offset_lr_factor,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.lr, fused=True
    )
