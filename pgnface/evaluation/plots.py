"""Pictures of an evaluation: error curves and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from .metrics import cumulative_error

#: Colours of predictions and of the truth, distinguishable for colour-blind readers (Okabe-Ito).
PREDICTED, TRUE = "#d55e00", "#56b4e9"


def save_figure(figure: Figure, path: str | Path, dpi: int = 130) -> Path:
    """Write a figure as PNG, without the global state of pyplot."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=dpi, bbox_inches="tight")
    return Path(path)


def plot_cumulative_error(
    errors: Mapping[str, Tensor], path: str | Path, limit: float = 10.0, unit: str = "NME (%)"
) -> Path:
    """Cumulative error distributions, one curve for each name.

    Args:
        errors: name to ``(N,)`` errors.
        path: the PNG.
        limit: right end of the axis.
        unit: label of the axis.
    """
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for name, values in errors.items():
        thresholds, fractions = cumulative_error(values, limit)
        axes.plot(thresholds, 100 * fractions, label=f"{name} (mean {values.mean():.2f})")
    axes.set(xlabel=unit, ylabel="faces at or below (%)", xlim=(0, limit), ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    return save_figure(figure, path)


@dataclass(frozen=True)
class Tile:
    """One face of a contact sheet.

    Attributes:
        image: ``(S, S, 3)`` uint8.
        predicted, true: ``(K, 2)`` landmarks in its pixels.
        caption: a few words.
    """

    image: NDArray[np.uint8]
    predicted: NDArray
    true: NDArray
    caption: str


def contact_sheet(
    sections: Mapping[str, Sequence[Tile]], path: str | Path, columns: int = 6
) -> Path:
    """A grid of faces under headings, with predicted and true landmarks.

    Args:
        sections: heading to faces.
        path: the PNG.
        columns: faces in a row.
    """
    rows = {name: -(-len(tiles) // columns) for name, tiles in sections.items() if tiles}
    figure = Figure(figsize=(2 * columns, 2.3 * sum(rows.values()) + 0.5 * len(rows)))
    parts = figure.subfigures(len(rows), 1, height_ratios=list(rows.values()), squeeze=False)[:, 0]
    for part, (name, count) in zip(parts, rows.items(), strict=True):
        part.suptitle(name, fontsize=12)
        grid = part.subplots(count, columns, squeeze=False).ravel()
        part.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.45 / (2.3 * count), 0.04, 0.16)
        for axes in grid:
            axes.axis("off")
        for axes, tile in zip(grid, sections[name], strict=False):
            height, width = tile.image.shape[:2]
            axes.imshow(tile.image, extent=(0, width, height, 0))
            axes.scatter(*tile.true.T, s=4, c=TRUE, linewidths=0)
            axes.scatter(*tile.predicted.T, s=4, c=PREDICTED, linewidths=0)
            axes.set(xlim=(0, width), ylim=(height, 0))
            axes.set_title(tile.caption, fontsize=8, pad=2)
    figure.text(0.99, 0.0, "predicted", color=PREDICTED, ha="right", va="top", fontsize=10)
    figure.text(0.9, 0.0, "annotated", color=TRUE, ha="right", va="top", fontsize=10)
    return save_figure(figure, path)
