"""The result of an evaluation, for a terminal, for a program and for a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pgnface._output import prepare_folder

if TYPE_CHECKING:
    from torch import Tensor

    from .metrics import BinnedError, PoseError
    from .result import ErrorMap


@dataclass(frozen=True)
class Report:
    """Numbers of one evaluation.

    Attributes:
        title: the protocol.
        facts: what was evaluated: checkpoint, face model, number of images and so on.
        nme: landmark errors in percent: what is compared with what (``"2d"``), then whose landmarks
            (``"position_map"``).
        pose: head-pose errors in degrees, by how they are measured.
        shape: shape errors in mm, by method.
        skipped: files left out, with the reason.
        errors: 2D landmark errors ``(N,)`` in percent, whose landmarks; for curves, not printed.
        error_map: where shape errors lie, where they are known.
    """

    title: str
    facts: Mapping[str, object]
    nme: Mapping[str, Mapping[str, BinnedError]]
    pose: Mapping[str, PoseError]
    shape: Mapping[str, float] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, Tensor] = field(default_factory=dict)
    error_map: ErrorMap | None = None

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary; a number that does not exist (an empty bin) is ``None``."""
        numbers = {
            "protocol": self.title,
            **self.facts,
            "nme": {
                kind: {method: asdict(error) for method, error in methods.items()}
                for kind, methods in self.nme.items()
            },
            "pose": {kind: asdict(error) for kind, error in self.pose.items()},
            "shape_mm": dict(self.shape),
            "skipped": dict(self.skipped),
        }
        return _without_nan(numbers)

    def write_json(self, folder: str | Path) -> Path:
        """Write ``metrics.json`` into a folder.

        Raises:
            UserError: when the folder cannot be written to.
        """
        return write_metrics(self.to_dict(), folder)


def write_metrics(numbers: Mapping[str, object], folder: str | Path) -> Path:
    """Write a result's dictionary as ``metrics.json``; see :meth:`Report.write_json`."""
    path = prepare_folder(folder) / "metrics.json"
    path.write_text(json.dumps(numbers, indent=1) + "\n")
    return path


def print_report(report: Report, as_json: bool = False) -> None:
    """Print tables, or the numbers as JSON and nothing else."""
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
        return
    from .result import as_result, print_result

    print_result(as_result(report))


def label(key: str) -> str:
    """A key of the JSON as words: ``mean_shape`` becomes "mean shape", ``2d`` becomes "2D"."""
    return key.replace("_", " ").replace("2d", "2D").replace("3d", "3D")


def describe(checkpoint: object) -> str:
    """A checkpoint argument (path, name or network) for a report."""
    return str(checkpoint) if isinstance(checkpoint, (str, Path)) else "network in memory"


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
