"""Means over seeds, their confidence intervals, and differences between arms."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill

import numpy as np

#: What is measured, in the words of a table; smaller is better in all of them.
METRICS = {
    "nme": "NME, %",
    "posed_nme": "NME of the posed model, %",
    "pose": "pose MAE, degrees",
    "shape_mm": "shape, mm",
}

_LABEL_WIDTH = 14  # characters of an arm's name in a plot


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: over the seeds.
        half_width: of the 95 % confidence interval by Student's t; None for a single seed.
        values: one a seed.
    """

    mean: float
    half_width: float | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """Estimate from one value a seed."""
        count, half = len(values), None
        if count > 1:
            from scipy.stats import t

            half = float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
        return cls(float(np.mean(values)), half, tuple(map(float, values)))

    def __str__(self) -> str:
        interval = "" if self.half_width is None else f" ± {self.half_width:.2f}"
        return f"{self.mean:.2f}{interval}"


@dataclass(frozen=True)
class Summary:
    """What a study says.

    Attributes:
        title: the question.
        seeds: that every arm has.
        errors: source to metric to arm to its error.
        differences: the same, of an arm's error minus that of the first arm with the same seed;
            the first arm has none.
    """

    title: str
    seeds: tuple[int, ...]
    errors: dict[str, dict[str, dict[str, Estimate]]]
    differences: dict[str, dict[str, dict[str, Estimate]]]


def summarize(title: str, results: Mapping[str, Mapping[int, Mapping]]) -> Summary:
    """Compare arms over the seeds that all of them have.

    Args:
        title: the question.
        results: arm to seed to source to metric to value; the first arm is the reference. Arms
            without a common seed yet are left out.
    """
    arms = [arm for arm, runs in results.items() if runs]
    seeds = sorted(set.intersection(*(set(results[arm]) for arm in arms)))
    reference = arms[0]
    errors: dict = {}
    differences: dict = {}
    for source, metrics in results[reference][seeds[0]].items():
        for metric in METRICS:
            if metric not in metrics:
                continue
            values = {
                arm: np.array([results[arm][seed][source][metric] for seed in seeds])
                for arm in arms
            }
            errors.setdefault(source, {})[metric] = {
                arm: Estimate.of(value) for arm, value in values.items()
            }
            differences.setdefault(source, {})[metric] = {
                arm: Estimate.of(value - values[reference])
                for arm, value in values.items()
                if arm != reference
            }
    return Summary(title, tuple(seeds), errors, differences)


def write_summary(summary: Summary, folder: Path) -> None:
    """Write ``summary.json``, ``summary.md`` and ``summary.png``."""
    (folder / "summary.json").write_text(json.dumps(asdict(summary), indent=1) + "\n")
    (folder / "summary.md").write_text(to_markdown(summary))
    _plot(summary, folder / "summary.png")


def to_markdown(summary: Summary) -> str:
    """Tables of errors and differences; an interval that excludes zero is in bold."""
    lines = [f"# {summary.title}", ""]
    lines += [f"Means over {len(summary.seeds)} seeds ± half of the 95 % confidence interval."]
    for source, metrics in summary.errors.items():
        arms = list(next(iter(metrics.values())))
        lines += ["", f"## {source}", ""]
        lines += ["| | " + " | ".join(METRICS[metric] for metric in metrics) + " |"]
        lines += ["|---" * (len(metrics) + 1) + "|"]
        for arm in arms:
            lines += [_row(arm, [str(metrics[metric][arm]) for metric in metrics])]
        for arm in arms[1:]:
            cells = [_difference(summary.differences[source][metric][arm]) for metric in metrics]
            lines += [_row(f"{arm} minus {arms[0]}", cells)]
    return "\n".join(lines) + "\n"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _difference(estimate: Estimate) -> str:
    text = f"{estimate.mean:+.2f}"
    if estimate.half_width is None:
        return text
    text += f" ± {estimate.half_width:.2f}"
    return f"**{text}**" if abs(estimate.mean) > estimate.half_width else text


def _plot(summary: Summary, path: Path) -> None:
    """A panel for each source and metric: every seed a dot, the mean with its interval."""
    from matplotlib.figure import Figure

    from pgnface.evaluation.plots import PREDICTED, TRUE, save_figure

    rows = len(summary.errors)
    columns = max(len(metrics) for metrics in summary.errors.values())
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows))
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel_row, (source, metrics) in zip(panels, summary.errors.items(), strict=True):
        for axes in panel_row[len(metrics) :]:
            axes.axis("off")
        for axes, (metric, arms) in zip(panel_row, metrics.items(), strict=False):
            for x, estimate in enumerate(arms.values()):
                axes.plot([x] * len(estimate.values), estimate.values, "o", color=TRUE, ms=4)
                axes.errorbar(x, estimate.mean, estimate.half_width or 0, fmt="_", color=PREDICTED)
            names = [fill(arm, _LABEL_WIDTH) for arm in arms]
            axes.set_xticks(range(len(arms)), names, fontsize=8)
            axes.set_xlim(-0.5, len(arms) - 0.5)
            axes.set_title(f"{source}: {METRICS[metric]}", fontsize=9)
            axes.grid(axis="y", alpha=0.3)
    figure.tight_layout()
    save_figure(figure, path)
