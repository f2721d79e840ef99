"""Loading a face model by name or path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .builtin import DEFAULT_MODEL_PATH
from .formats import READERS
from .formats.contents import read_contents
from .formats.landmark_ids import read_landmark_ids
from .model import MorphableModel


def load_model(
    path_or_name: str | Path = "default",
    *,
    landmarks: str | Path | Sequence[int] | np.ndarray | None = None,
    region: str | None = None,
) -> MorphableModel:
    """A face model: the built-in one, or one read from a file.

    Args:
        path_or_name: ``"default"`` for the built-in model, or the path of a file of a known format;
            docs/models.md lists them. The format is told by what the file holds.
        landmarks: vertex ids of the 68 landmarks in iBUG order, zero-based, or a text, npy or JSON
            file of them. They come before those of the model's file.
        region: how much of the head of a model whose format knows regions (ICT-FaceKit's folder);
            without it the face.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is damaged, of no known format, lacks a key or holds arrays that
            do not fit together, or knows no regions or another one; the message names file and key.
    """
    path = _resolve(path_or_name)
    ids = None if landmarks is None else read_landmark_ids(landmarks)
    try:
        reader, contents = _recognise(path)
        if region is None:
            model = reader.read(contents, path, ids)
        elif not hasattr(reader, "REGIONS"):
            raise ValueError(
                f"a model of the format {reader.FORMAT} has no regions, got {region!r}"
            )
        else:
            model = reader.read(contents, path, ids, region)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    if ids is not None:
        model.notes = (*model.notes, "landmarks as the user gave them")
    return model


def model_format(path_or_name: str | Path = "default") -> str:
    """The name of a model file's format, as in docs/models.md.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_model`.
    """
    path = _resolve(path_or_name)
    try:
        return _recognise(path)[0].FORMAT
    except ValueError as error:
        raise ValueError(f"{path}: {error.args[0]}") from error


def _resolve(path_or_name: str | Path) -> Path:
    path = DEFAULT_MODEL_PATH if str(path_or_name) == "default" else Path(path_or_name).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no face model at {path}; give the path of a file or 'default'")
    return path


def _recognise(path: Path) -> tuple[ModuleType, dict[str, Any]]:
    contents = read_contents(path)
    for reader in READERS:
        if reader.matches(contents, path):
            return reader, contents
    found = f" found {', '.join(sorted(contents))}" if contents else ""
    raise ValueError(f"unknown format, docs/models.md lists the known ones;{found}")
