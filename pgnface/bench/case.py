"""A measured case: a function, its inputs, and the least that it must move and compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .inputs import Scene

MOST_COPIES = 64
"""Of rotating inputs: small ones stay in the cache, as they do in use."""


class Floor(NamedTuple):
    """The least that a computation must move and do.

    Attributes:
        bytes: every input read once from memory and every output written once.
        operations: additions and multiplications in floating point (a fused one counts as two).
    """

    bytes: float = 0
    operations: float = 0

    def __add__(self, other: Floor) -> Floor:
        return Floor(self.bytes + other.bytes, self.operations + other.operations)


@dataclass(frozen=True)
class Case:
    """One computation.

    Attributes:
        name: of the op or step.
        run: our implementation; takes the inputs, returns a tensor or several.
        inputs: tensors on the device; gradients are taken by those that require them.
        forward: floor of the forward pass.
        backward: floor that the backward pass adds; ``None`` where there is no gradient.
        peers: other implementations that take and return the same, by name.
        scene: what is drawn, for rendering.
        triangles: of the mesh, for searches.
        peer_inputs: what the peers take in place of the inputs, where it differs.
    """

    name: str
    run: Callable[..., Tensor | Sequence[Tensor]]
    inputs: tuple[Tensor, ...]
    forward: Floor
    backward: Floor | None = None
    peers: dict[str, Callable] = field(default_factory=dict)
    scene: Scene | None = None
    triangles: Tensor | None = None
    peer_inputs: tuple[Tensor, ...] | None = None

    def floor(self, backward: bool) -> Floor:
        """Of a call of :meth:`calls` with the same argument."""
        return self.forward + self.backward if backward and self.backward else self.forward

    def calls(
        self, implementation: str = "pgnface", *, backward: bool = False, rotate: float = 0
    ) -> Iterator[Callable[[], None]]:
        """Calls to be timed, one on each copy of the inputs, over and over.

        Args:
            implementation: "pgnface" or a key of ``peers``.
            backward: gradients too, of the outputs times fixed random tensors; else the forward
                pass without recording it.
            rotate: bytes that the copies together are to exceed (the size of a cache).
        """
        function, inputs = self.run, self.inputs
        if implementation != "pgnface":
            function, inputs = self.peers[implementation], self.peer_inputs or inputs
        first = _copy(inputs)
        with torch.no_grad():  # only their shapes are kept
            outputs = [o.to("meta") for o in _tensors(function(*first))]
        size = sum(t.nbytes for t in (*first, *outputs))
        copies = max(1, min(MOST_COPIES, round(rotate / max(size, 1) + 0.5)))
        rotation = [first, *(_copy(inputs) for _ in range(copies - 1))]
        if not backward:
            ready = [_forward(function, inputs) for inputs in rotation]
        else:
            # A step's gradient arrives in memory of its own, so the cotangents rotate too.
            ready = [
                _backward(
                    function, inputs, [torch.rand_like(o, device=first[0].device) for o in outputs]
                )
                for inputs in rotation
            ]
        while True:
            yield from ready


def _copy(inputs: Sequence[Tensor]) -> list[Tensor]:
    return [t.detach().clone().requires_grad_(t.requires_grad) for t in inputs]


def _tensors(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def _forward(function: Callable, inputs: list[Tensor]) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad():
            function(*inputs)

    return call


def _backward(
    function: Callable, inputs: list[Tensor], cotangents: list[Tensor]
) -> Callable[[], None]:
    leaves = [t for t in inputs if t.requires_grad]

    def call() -> None:
        torch.autograd.grad(_tensors(function(*inputs)), leaves, cotangents)

    return call
