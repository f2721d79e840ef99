"""Loading a face model by name or path."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from . import ict, npz
from .builtin import DEFAULT_MODEL_PATH
from .model import MorphableModel


def load_model(path_or_name: str | Path = "default") -> MorphableModel:
    """A face model: the built-in one, or one read from a file.

    Args:
        path_or_name: ``"default"`` for the built-in model, or the path of an ``.npz`` file in
            pgnface's own format or in that of ICT-FaceKit, told apart by their keys.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is no npz archive, of no known format, lacks a key or holds
            arrays that do not fit together; the message names file and key.
    """
    path = DEFAULT_MODEL_PATH if str(path_or_name) == "default" else Path(path_or_name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"no face model at {path}; give the path of an .npz file or 'default'"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a readable npz file of plain arrays ({error})") from error
    for reader, matches in ((npz, npz.is_own_format), (ict, ict.is_ict_format)):
        if matches(arrays):
            try:
                return reader.from_arrays(arrays, path.stem)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}: {error.args[0]}") from error
    raise ValueError(
        f"{path}: unknown format: expected a key 'format' with value {npz.FORMAT!r} or the keys of "
        f"an ICT-FaceKit model ({', '.join(ict.REQUIRED)}), found {', '.join(sorted(arrays))}"
    )
