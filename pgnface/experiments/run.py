"""Running a study: every arm with every seed, what was measured, and what it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.training.config import TrainConfig
from pgnface.training.structure import to_plain

from .study import Study
from .summary import Summary, summarize, write_summary

Measured = dict[str, dict[str, float]]


def run_study(study: Study, output: str | Path, seeds: Sequence[int] = (0, 1, 2)) -> Summary:
    """Train every arm with every seed and compare what they reach.

    What is finished is kept: the same call goes on where an interrupted one stopped. Seeds are the
    outer loop, so that the first comparison is there early; the summary is written after each run.

    Args:
        study: what is compared.
        output: folder; ``<arm>/<seed>`` are the runs, ``summary.md``, ``.json`` and ``.png`` the
            result.
        seeds: of weights and data; arms with one seed are compared with each other.

    Raises:
        ValueError: when no seed is given, or one twice.
        UserError: when the folder cannot be written, or holds runs of another study.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: expected different numbers, got {list(seeds)}")
    folder = prepare_folder(output)
    results: dict[str, dict[int, Measured]] = {arm: {} for arm in study.arms}
    for seed in seeds:
        for arm in study.arms:
            config = study.seeded(arm, seed, folder / arm / str(seed))
            results[arm][seed] = _measured(config)
            summary = summarize(study.title, results)
            write_summary(summary, folder)
    return summary


def _measured(config: TrainConfig) -> Measured:
    """What a run reaches on its validation sources; trained when it is not there yet."""
    path = prepare_folder(config.output) / "study.json"
    state = {"configuration": _fingerprint(config), "validation": None}
    if path.is_file():
        kept = json.loads(path.read_text())
        if kept["configuration"] != state["configuration"]:
            raise UserError(
                f"{config.output} holds a run of another configuration; choose another output"
            )
        if kept["validation"] is not None:
            return kept["validation"]
    from pgnface.training import train

    path.write_text(json.dumps(state) + "\n")
    result = train(config)
    if not result.complete:
        raise UserError(f"the run in {config.output} ended at step {result.step}: max_minutes")
    path.write_text(json.dumps({**state, "validation": result.validation}, indent=1) + "\n")
    return result.validation


def _fingerprint(config: TrainConfig) -> str:
    """Of everything but the place."""
    plain = to_plain(config)
    del plain["output"]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
