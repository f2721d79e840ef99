"""Results of any protocol: tables of numbers, the errors behind them, where they lie on a face."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .report import label, write_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .report import Report


@dataclass(frozen=True)
class Table:
    """Numbers by method or part.

    Attributes:
        title: what is measured, with its unit.
        columns: headings of the numbers.
        rows: name of a row to its numbers, NaN where there is none.
        key: of the published numbers that belong beside it, empty when none do.
        digits: decimals that mean something.
    """

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    key: str = ""
    digits: int = 2


class ErrorMap(NamedTuple):
    """A face coloured by its error.

    Attributes:
        vertices: ``(V, 3)`` in model axes.
        triangles: ``(T, 3)``.
        errors: ``(V,)`` mm, NaN where nothing was measured.
    """

    vertices: NDArray
    triangles: NDArray
    errors: NDArray


def map_of_crop(vertices: NDArray, triangles: NDArray, kept: NDArray, errors: NDArray) -> ErrorMap:
    """The part of a scan that was measured.

    Args:
        vertices, triangles: the scan, ``(V, 3)`` and ``(T, 3)``.
        kept: ``(V,)`` bool, which vertices were measured.
        errors: of these.
    """
    values = np.full(len(vertices), np.nan)
    values[kept] = errors
    return ErrorMap(vertices, triangles[kept[triangles].all(1)], values)


@dataclass(frozen=True)
class Result:
    """What one protocol gives.

    Attributes:
        title: the protocol.
        facts: what was measured.
        tables: the numbers.
        errors: name of a curve to errors ``(N,)``, for cumulative plots; of one unit.
        unit: of those errors.
        skipped: samples left out, with the reason.
        error_map: where the errors lie.
    """

    title: str
    facts: Mapping[str, object]
    tables: tuple[Table, ...]
    errors: Mapping[str, NDArray] = field(default_factory=dict)
    unit: str = "mm"
    skipped: Mapping[str, str] = field(default_factory=dict)
    error_map: ErrorMap | None = None

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary; a number that does not exist is ``None``."""
        return {
            "protocol": self.title,
            **self.facts,
            "tables": {
                table.title: {
                    row: dict(zip(table.columns, map(_finite, values), strict=True))
                    for row, values in table.rows.items()
                }
                for table in self.tables
            },
            "skipped": dict(self.skipped),
        }

    def write_json(self, folder: str | Path) -> Path:
        """Write ``metrics.json`` into a folder.

        Raises:
            UserError: when the folder cannot be written to.
        """
        return write_metrics(self.to_dict(), folder)


def as_result(report: Report, key: str = "") -> Result:
    """The numbers of a landmark benchmark in the form that every protocol shares.

    Args:
        report: of AFLW2000-3D or of rendered people.
        key: of the published numbers, to which the kind of a table is added.
    """

    def key_of(kind: str) -> str:
        return f"{key}_{kind}" if key else ""

    tables = []
    for kind, methods in report.nme.items():
        first = next(iter(methods.values()))
        rows = {
            label(method): (*error.means, error.mean, error.std, error.overall)
            for method, error in methods.items()
        }
        rows["faces"] = (*first.counts, math.nan, math.nan, sum(first.counts))
        columns = (*first.bins, "mean of bins", "std", "all faces")
        tables.append(Table(f"NME {label(kind)}, % of the box", columns, rows, key_of(kind)))
    if report.pose:
        columns = ("pitch", "yaw", "roll", "mean", "geodesic", "count", "excluded")
        rows = {
            label(kind): tuple(getattr(error, column) for column in columns)
            for kind, error in report.pose.items()
        }
        title = "Head pose, mean absolute error in degrees"
        tables.append(Table(title, columns, rows, key_of("pose")))
    if report.shape:
        rows = {label(method): (value,) for method, value in report.shape.items()}
        tables.append(Table("Shape, mean vertex distance in mm", ("mm",), rows, key_of("shape")))
    return Result(
        title=report.title,
        facts=report.facts,
        tables=tuple(tables),
        errors={label(name): values for name, values in report.errors.items()},
        unit="% of the box",
        skipped=report.skipped,
        error_map=report.error_map,
    )


def print_result(result: Result, as_json: bool = False) -> None:
    """Print tables, or the numbers as JSON and nothing else."""
    if as_json:
        print(json.dumps(result.to_dict(), indent=1))
        return
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    console.print(f"\n[bold]{result.title}[/bold]")
    for name, value in result.facts.items():
        console.print(f"  {name.replace('_', ' ')}: {value}")
    for table in result.tables:
        drawn = RichTable(title=table.title, title_justify="left")
        drawn.add_column("", overflow="fold")
        for name in table.columns:
            drawn.add_column(name, justify="right", overflow="fold")
        for row, values in table.rows.items():
            drawn.add_row(row, *(format_number(value, table.digits) for value in values))
        console.print(drawn)
    if result.skipped:
        console.print(f"[bold]{len(result.skipped)} left out:[/bold]")
        for name, reason in result.skipped.items():
            console.print(f"  {name}: {reason}", markup=False)


def format_number(value: float, digits: int) -> str:
    """A number of a table; a dash where there is none, and no decimals for a count."""
    if value is None or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
