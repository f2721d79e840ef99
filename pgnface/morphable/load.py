"""Loading a face model by name or path."""

from __future__ import annotations

from pathlib import Path

from .builtin import DEFAULT_MODEL_PATH
from .formats import READERS
from .formats.contents import read_contents
from .model import MorphableModel


def load_model(path_or_name: str | Path = "default") -> MorphableModel:
    """A face model: the built-in one, or one read from a file.

    Args:
        path_or_name: ``"default"`` for the built-in model, or the path of a file of a known format;
            docs/models.md lists them. The format is told by what the file holds.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is damaged, of no known format, lacks a key or holds arrays that
            do not fit together; the message names file and key.
    """
    path = DEFAULT_MODEL_PATH if str(path_or_name) == "default" else Path(path_or_name).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no face model at {path}; give the path of a file or 'default'")
    try:
        contents = read_contents(path)
        for reader in READERS:
            if reader.matches(contents, path):
                return reader.read(contents, path)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    found = f" found {', '.join(sorted(contents))}" if contents else ""
    raise ValueError(f"{path}: unknown format, docs/models.md lists the known ones;{found}")
