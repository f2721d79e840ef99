"""A study: training runs that differ in one thing, repeated over seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from pgnface._errors import UserError
from pgnface.training.config import TrainConfig
from pgnface.training.structure import from_plain

STUDIES = files(__package__) / "studies"


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        title: the question.
        arms: name to the training run; the first is what the others are compared with. All are
            measured on their ``validation`` sources.
    """

    title: str
    arms: dict[str, TrainConfig]

    def seeded(self, arm: str, seed: int, output: Path) -> TrainConfig:
        """The run of an arm with another seed of its weights and of its data."""
        config = self.arms[arm]
        data = tuple(
            replace(entry, source=replace(entry.source, seed=entry.source.seed + seed))
            for entry in config.data
        )
        return replace(config, seed=config.seed + seed, data=data, output=output)


def study_names() -> list[str]:
    """Studies that the package ships."""
    return sorted(entry.name[:-5] for entry in STUDIES.iterdir() if entry.name.endswith(".yaml"))


def load_study(path_or_name: str | Path, overrides: dict[str, Any] | None = None) -> Study:
    """Read a study.

    The file has a ``title``, a ``base`` configuration (docs/training.md) and ``arms``: name to what
    differs from the base. Mappings are merged, everything else takes the place of what was there.

    Args:
        path_or_name: a YAML file, or one of :func:`study_names`.
        overrides: merged into every arm at last.

    Raises:
        FileNotFoundError: when there is no such file.
        UserError: for a file of another shape.
        ValueError: for a configuration with a mistake; the message names arm and key.
    """
    path = Path(path_or_name)
    if str(path_or_name) in study_names():
        path = STUDIES / f"{path_or_name}.yaml"
    elif not path.is_file():
        raise FileNotFoundError(
            f"study {path_or_name} is neither a file nor one of {', '.join(study_names())}"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path_or_name} is not valid YAML: {error}") from error
    expected = {"title", "base", "arms"}
    if not isinstance(content, dict) or set(content) != expected:
        raise UserError(f"{path_or_name}: a study has {', '.join(sorted(expected))}, and no more")
    arms = {}
    for name, changes in content["arms"].items():
        plain = merge(merge(content["base"], changes or {}), overrides or {})
        try:
            arms[name] = from_plain(TrainConfig, plain)
        except ValueError as error:
            raise ValueError(f"{path_or_name}, arm {name!r}: {error}") from error
    return Study(content["title"], arms)


def merge(base: Any, changes: Any) -> Any:
    """``base`` with ``changes``: mappings key by key, anything else replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {
        key: merge(base[key], changes[key])
        if key in base and key in changes
        else changes.get(key, base.get(key))
        for key in {**base, **changes}
    }
