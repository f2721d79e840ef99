"""Tables and plots of the experiments that train nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pgnface._output import prepare_folder
from pgnface.evaluation.metrics import BinnedError

from .robustness import CONDITIONS

Robustness = Mapping[str, Mapping[str, float]]


def print_bottleneck(table: Mapping[str, BinnedError], as_json: bool = False) -> None:
    """Print what :func:`~pgnface.experiments.measure_bottleneck` returns."""
    if as_json:
        print(json.dumps({name: asdict(errors) for name, errors in table.items()}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    first = next(iter(table.values()))
    shown = Table(title="NME 2D of the posed model, %, with parts replaced by the truth")
    shown.add_column("replaced")
    for name, count in zip(first.bins, first.counts, strict=True):
        shown.add_column(f"{name}\n(n={count})", justify="right")
    for name in ("mean\nof bins", "all\nfaces"):
        shown.add_column(name, justify="right")
    for name, errors in table.items():
        cells = (*errors.means, errors.mean, errors.overall)
        shown.add_row(name, *(f"{value:.2f}" for value in cells))
    Console(highlight=False).print(shown)


def write_robustness(tables: Mapping[str, Robustness], folder: str | Path, faces: int) -> str:
    """Write ``robustness.json``, ``.md`` and ``.png``, and return the text.

    Args:
        tables: name of a network to what :func:`~pgnface.experiments.measure_robustness` returns.
        folder: made where it is missing.
        faces: how many were measured.
    """
    folder = prepare_folder(folder)
    (folder / "robustness.json").write_text(
        json.dumps({"faces": faces, "nme": tables}, indent=1) + "\n"
    )
    text = _markdown(tables, faces)
    (folder / "robustness.md").write_text(text)
    _plot(tables, folder / "robustness.png")
    return text


def _label(condition: str) -> str:
    unit = CONDITIONS[condition].unit if condition in CONDITIONS else "|degrees|"
    return f"{condition} ({unit})"


def _markdown(tables: Mapping[str, Robustness], faces: int) -> str:
    lines = [f"Mean 2D NME in % over {faces} faces."]
    for condition, first in next(iter(tables.values())).items():
        lines += ["", f"| {_label(condition)} | " + " | ".join(first) + " |"]
        lines += ["|---" * (len(first) + 1) + "|"]
        for name, table in tables.items():
            cells = (f"{table[condition][strength]:.2f}" for strength in first)
            lines += [f"| {name} | " + " | ".join(cells) + " |"]
    return "\n".join(lines) + "\n"


def _plot(tables: Mapping[str, Robustness], path: Path) -> None:
    from matplotlib.figure import Figure

    from pgnface.evaluation.plots import save_figure

    conditions = list(next(iter(tables.values())))
    figure = Figure(figsize=(10.5, 6))
    panels = figure.subplots(2, -(-len(conditions) // 2), sharey=True).ravel()
    for axes, condition in zip(panels, conditions, strict=False):
        for name, table in tables.items():
            values = table[condition]
            axes.plot(range(len(values)), list(values.values()), "o-", ms=4, label=name)
            axes.set_xticks(range(len(values)), list(values), fontsize=8)
        axes.set_xlabel(_label(condition), fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("NME (%)")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)
