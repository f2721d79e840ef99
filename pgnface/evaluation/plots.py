"""Pictures of an evaluation: error curves and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from .metrics import cumulative_error

if TYPE_CHECKING:
    from .result import ErrorMap

#: Colours of predictions and of the truth, distinguishable for colour-blind readers (Okabe-Ito).
PREDICTED, TRUE = "#d55e00", "#56b4e9"


def save_figure(figure: Figure, path: str | Path, dpi: int = 130) -> Path:
    """Write a figure as PNG, without the global state of pyplot."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=dpi, bbox_inches="tight")
    return Path(path)


def plot_cumulative_error(
    errors: Mapping[str, Tensor | NDArray],
    path: str | Path,
    limit: float | None = 10.0,
    unit: str = "NME (%)",
) -> Path:
    """Cumulative error distributions, one curve for each name.

    Args:
        errors: name to ``(N,)`` errors.
        path: the PNG.
        limit: right end of the axis; default of ``None``: most of the errors.
        unit: label of the axis.
    """
    if limit is None:
        pooled = np.concatenate([np.asarray(values) for values in errors.values()])
        limit = max(1.25 * float(np.quantile(pooled, 0.95)), 1e-6)
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for name, values in errors.items():
        thresholds, fractions = cumulative_error(values, limit)
        axes.plot(thresholds, 100 * fractions, label=f"{name} (mean {values.mean():.2f})")
    axes.set(xlabel=unit, ylabel="faces at or below (%)", xlim=(0, limit), ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    return save_figure(figure, path)


def plot_error_map(
    error_map: ErrorMap, path: str | Path, limit: float | None = None, size: int = 320
) -> Path:
    """A face coloured by its error, from the front and from both sides.

    Args:
        error_map: the face; grey where nothing was measured.
        path: the PNG.
        limit: error in mm at the end of the colours; default: most of the errors.
        size: pixels of one view.
    """
    import torch
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from pgnface.geometry import Pose, apply_pose, rotation_from_angles
    from pgnface.render import render

    measured = np.isfinite(error_map.errors)
    if limit is None:
        values = error_map.errors[measured]
        limit = max(float(np.quantile(values, 0.98)), 1e-6) if len(values) else 1.0
    shown = np.clip(np.nan_to_num(error_map.errors) / limit, 0, 1)
    colors = colormaps["viridis"](shown)[:, :3]
    colors[~measured] = 0.75
    points = torch.from_numpy(np.asarray(error_map.vertices, np.float64))
    points = points - (points.amax(0) + points.amin(0)) / 2
    triangles = torch.from_numpy(np.asarray(error_map.triangles, np.int32))
    scale = torch.tensor(0.95 * size) / (2 * points.norm(dim=-1).max())
    figure = Figure(figsize=(9, 3))
    axes = figure.subplots(1, 3)
    for place, yaw in zip(axes, (-50.0, 0.0, 50.0), strict=True):
        pose = Pose(
            scale.double(),
            rotation_from_angles(torch.tensor([0.0, yaw, 0.0], dtype=torch.float64)),
            torch.tensor([size / 2, size / 2, 0.0], dtype=torch.float64),
        )
        drawn = render(
            apply_pose(pose, points).float()[None],
            triangles,
            size,
            size,
            colors=torch.from_numpy(colors).float(),
            background=torch.ones(1, 3, size, size),
            supersample=2,
        )
        place.imshow(drawn.image[0].permute(1, 2, 0).clamp(0, 1).numpy())
        place.axis("off")
    figure.colorbar(ScalarMappable(Normalize(0, limit), "viridis"), ax=axes, label="mm", shrink=0.8)
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
        part.suptitle(name, fontsize=12, y=1 - 0.05 / (2.3 * count))
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
    if any(len(tile.true) for tiles in sections.values() for tile in tiles):
        figure.text(0.9, 0.0, "annotated", color=TRUE, ha="right", va="top", fontsize=10)
    return save_figure(figure, path)
