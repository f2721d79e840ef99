"""Folders that results are written to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pgnface._errors import UserError


def prepare_folder(path: str | Path) -> Path:
    """Create a folder, unless it is there, and make sure that it can be written to.

    Called before the work starts, so that an hour's results are not lost at its end.

    Raises:
        UserError: when it cannot be created or written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"cannot write to the folder {path}: {error.strerror}") from error
    return path
