"""What a file holds, by name, without running any code that is in it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def read_contents(path: Path) -> dict[str, Any]:
    """The named arrays of a file; empty for one of a kind that has no names.

    Raises:
        ValueError: when the file is damaged, or holds what could run code.
    """
    read = _BY_SUFFIX.get(path.suffix.lower())
    return read(path) if read is not None and path.is_file() else {}


def require_keys(contents: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Raise KeyError naming the keys that are missing."""
    missing = [key for key in keys if key not in contents]
    if missing:
        found = ", ".join(sorted(contents)) or "none"
        raise KeyError(f"missing {', '.join(missing)}; found {found}")


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a readable npz file of plain arrays ({error})") from error


_BY_SUFFIX: dict[str, Callable[[Path], dict[str, Any]]] = {".npz": _read_npz}
