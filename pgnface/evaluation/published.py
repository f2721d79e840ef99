"""Numbers that others have published, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class PublishedRow:
    """What a publication says of one method.

    Attributes:
        method: its name.
        values: column of the table to number.
        source: where it stands.
    """

    method: str
    values: Mapping[str, float]
    source: str


@cache
def published_rows() -> Mapping[str, tuple[PublishedRow, ...]]:
    """Rows by the key of the table (:attr:`pgnface.evaluation.result.Table.key`)."""
    import yaml

    text = files("pgnface.evaluation").joinpath("published.yaml").read_text()
    return {
        key: tuple(PublishedRow(**row) for row in rows)
        for key, rows in yaml.safe_load(text).items()
    }
