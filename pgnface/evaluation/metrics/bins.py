"""Errors in bins of the head's yaw, as tables of large-pose benchmarks have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class BinnedError:
    """Mean error by bins of |yaw|.

    Attributes:
        bins: names such as ``"0-30"``.
        counts: samples in each bin.
        means: mean error of each bin; NaN where a bin is empty.
        mean, std: unweighted mean and population standard deviation over the bins with samples.
        overall: mean over the samples.
    """

    bins: tuple[str, ...]
    counts: tuple[int, ...]
    means: tuple[float, ...]
    mean: float
    std: float
    overall: float


def balanced_subset(
    yaw: Tensor, edges: Sequence[float] = (0, 30, 60, 90), size: int | None = None, seed: int = 0
) -> Tensor:
    """As many samples from each bin of |yaw|, drawn without replacement: ``(M,)``, ascending.

    Args:
        yaw: ``(N,)`` degrees.
        edges: of the bins, as in :func:`error_by_yaw`.
        size: samples of a bin; as many as the smallest bin has by default.
        seed: of the draw, which is the same on every machine.

    Raises:
        ValueError: for wrong edges, or a bin with fewer samples than ``size``.
    """
    index = _bin_index(yaw, check_bins(edges))
    members = [(index == i).nonzero()[:, 0] for i in range(len(edges) - 1)]
    smallest = min(map(len, members))
    size = smallest if size is None else size
    if not 1 <= size <= smallest:
        raise ValueError(
            f"expected at least {max(size, 1)} samples in each bin, got {[len(m) for m in members]}"
        )
    generator = np.random.default_rng(seed)
    drawn = [generator.choice(m.numpy(), size, replace=False) for m in members]
    return torch.from_numpy(np.sort(np.concatenate(drawn)))


def check_bins(edges: Sequence[float]) -> list[float]:
    """Edges of bins as numbers.

    Raises:
        ValueError: unless they are at least two that increase from 0.
    """
    edges = [float(edge) for edge in edges]
    if len(edges) < 2 or edges[0] != 0 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(
            f"bins must be edges that increase from 0, such as 0 30 60 90; got {edges}"
        )
    return edges


def error_by_yaw(errors: Tensor, yaw: Tensor, edges: Sequence[float] = (0, 30, 60, 90)):
    """Errors ``(N,)`` by bins of |yaw| ``(N,)`` in degrees.

    A bin holds its upper edge and not its lower one (the first holds both), and the last bin also
    what lies beyond the last edge, as in the published evaluation code: every sample is in a bin.

    Returns:
        :class:`BinnedError`.

    Raises:
        ValueError: for different sizes, or edges that do not increase from 0.
    """
    if errors.shape != yaw.shape or errors.dim() != 1:
        raise ValueError(
            f"errors and yaw must have shape (N,), got {tuple(errors.shape)}, {tuple(yaw.shape)}"
        )
    edges = check_bins(edges)
    index = _bin_index(yaw, edges)
    errors = errors.double().cpu()
    groups = [errors[index == i] for i in range(len(edges) - 1)]
    means = [float(group.mean()) if len(group) else float("nan") for group in groups]
    filled = torch.tensor([float(g.mean()) for g in groups if len(g)], dtype=torch.float64)
    return BinnedError(
        bins=tuple(f"{a:g}-{b:g}" for a, b in pairwise(edges)),
        counts=tuple(map(len, groups)),
        means=tuple(means),
        mean=float(filled.mean()),
        std=float(filled.std(correction=0)) if len(filled) else float("nan"),
        overall=float(errors.mean()),
    )


def _bin_index(yaw: Tensor, edges: Sequence[float]) -> Tensor:
    inner = torch.tensor(edges[1:-1], dtype=torch.float64)
    return torch.bucketize(yaw.abs().double().cpu(), inner)
