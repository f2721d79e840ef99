"""Several benchmarks in one run, from a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pgnface._errors import UserError

from .report import Report
from .result import Result, as_result

#: Name of a benchmark to the function that measures it, below ``pgnface.evaluation.protocols``.
BENCHMARKS = {
    "aflw2000": "aflw2000:evaluate_aflw2000",
    "facewarehouse": "facewarehouse:evaluate_facewarehouse",
    "florence": "florence:evaluate_florence",
    "now": "now:evaluate_now",
    "realy": "realy:evaluate_realy",
    "shape": "shape:evaluate_shape",
    "synthetic": "synthetic:evaluate_synthetic",
    "video": "video:evaluate_video",
}

# Written by the suite itself, or objects that a file cannot hold.
_NOT_SETTABLE = ("output", "faces")


@dataclass(frozen=True)
class Run:
    """One benchmark of a suite.

    Attributes:
        benchmark: key of :data:`BENCHMARKS`.
        options: arguments of its function.
    """

    benchmark: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """What a configuration file asks for.

    Attributes:
        runs: in the order in which they are made.
        method: name of what is measured, for the rows of the report.
    """

    runs: Sequence[Run]
    method: str


def read_suite(path: str | Path) -> Suite:
    """A suite from YAML::

        checkpoint: runs/mixed      # of all runs that name none; default: the shipped weights
        method: ours                # its name in the report; default: the checkpoint's
        runs:
          - {benchmark: aflw2000, root: DIR, split: validation}
          - {benchmark: florence, root: DIR, landmarks: DIR, protocol: deng}

    The other keys of a run are arguments of the benchmark's function. Paths are relative to the
    working folder.

    Raises:
        UserError: naming the file and the key, for anything else.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is no readable YAML file ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("runs"), list):
        raise UserError(f"{path}: expected a list of runs under the key 'runs'")
    unknown = set(content) - {"checkpoint", "method", "runs"}
    if unknown or not content["runs"]:
        what = f"unknown keys {sorted(unknown)}" if unknown else "no run"
        raise UserError(f"{path}: expected checkpoint, method and runs, got {what}")
    checkpoint = content.get("checkpoint", "default")
    runs = []
    for number, entry in enumerate(content["runs"], 1):
        if not isinstance(entry, dict) or entry.get("benchmark") not in BENCHMARKS:
            raise UserError(
                f"{path}: run {number}: expected a benchmark of {', '.join(BENCHMARKS)}, "
                f"got {entry!r}"
            )
        options = {"checkpoint": checkpoint, **entry}
        run = Run(options.pop("benchmark"), options)
        _check_options(run, f"{path}: run {number} ({run.benchmark})")
        runs.append(run)
    return Suite(runs, str(content.get("method", checkpoint)))


def run_suite(
    suite: Suite, progress: Callable[[str], None] = lambda _: None
) -> tuple[list[Result], dict[str, str]]:
    """Make the runs.

    Args:
        suite: the runs.
        progress: told the name of each before it starts.

    Returns:
        the results, and the runs that failed for their data or options with the reason.
    """
    results, failed = [], {}
    for number, run in enumerate(suite.runs, 1):
        name = f"{number}. {run.benchmark}"
        progress(name)
        try:
            found = _function(run.benchmark)(**run.options)
        except (ValueError, OSError) as error:
            failed[name] = str(error)
            continue
        if isinstance(found, Report):
            found = as_result(found, run.benchmark)
        results.append(found)
    return results, failed


def _function(benchmark: str) -> Callable[..., Report | Result]:
    module, name = BENCHMARKS[benchmark].split(":")
    return getattr(import_module(f"pgnface.evaluation.protocols.{module}"), name)


def _check_options(run: Run, where: str) -> None:
    parameters = inspect.signature(_function(run.benchmark)).parameters
    known = [name for name in parameters if name not in _NOT_SETTABLE]
    for key in run.options:
        if key not in known:
            raise UserError(f"{where}: unknown option {key!r}; known are {', '.join(known)}")
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in run.options:
            raise UserError(f"{where}: the option {name!r} is missing")
