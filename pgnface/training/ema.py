"""Exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ExponentialAverage:
    """Average of a network's state, the weights that are validated and exported.

    ``average <- d average + (1 - d) weights`` with ``d = min(decay, (1 + n) / (10 + n))`` after
    ``n`` updates, so that the random initial weights are forgotten early in a run. Buffers in
    floating point (running statistics) are averaged as well; other buffers are copied.

    Args:
        network: its persistent state is averaged; it is not changed.
        decay: 0 follows the weights exactly, 1 never moves.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ExponentialAverage: decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.updates = 0
        self.state = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present state."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        current = network.state_dict()
        floating = [name for name, value in current.items() if value.is_floating_point()]
        averages = [self.state[name] for name in floating]
        torch._foreach_lerp_(averages, [current[name] for name in floating], 1 - decay)
        for name in current.keys() - set(floating):
            self.state[name].copy_(current[name])

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Within the block the network holds the average; afterwards its own weights again."""
        own = {name: t.detach().clone() for name, t in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def load(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Continue from a saved average."""
        for name, value in self.state.items():
            value.copy_(state[name])
        self.updates = updates
