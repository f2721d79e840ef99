"""Vertex ids of the 68 landmarks that a user gives beside a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pgnface.geometry.landmarks import LANDMARK_COUNT


def read_landmark_ids(source: str | Path | Sequence[int] | np.ndarray) -> np.ndarray:
    """Vertex ids ``(68,)``, int64: given as they are, or as a file.

    Args:
        source: the ids, or the path of a file: ``.npy`` (an array), ``.json`` (a list), any other
            suffix is read as text (whole numbers between blanks, commas or line ends; ``#`` starts
            a comment).

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for anything but 68 whole numbers; the message names the file.
    """
    if not isinstance(source, (str, Path)):
        return _checked("landmarks", source)
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"landmarks: no file {path}")
    try:
        if path.suffix == ".npy":
            ids = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            ids = json.loads(path.read_text())
        else:
            lines = (line.split("#")[0] for line in path.read_text().splitlines())
            ids = [int(word) for line in lines for word in line.replace(",", " ").split()]
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a readable list of landmark ids ({error})") from error
    return _checked(str(path), ids)


def _checked(name: str, ids: object) -> np.ndarray:
    array = np.asarray(ids)
    if array.dtype.kind not in "iu" or array.size != LANDMARK_COUNT:
        raise ValueError(
            f"{name}: expected {LANDMARK_COUNT} whole numbers (vertex ids, iBUG order), "
            f"got {array.size} values of type {array.dtype}"
        )
    return array.reshape(-1).astype(np.int64)
