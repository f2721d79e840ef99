"""What a file holds, by name, without running any code that is in it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .pickles import read_pickle


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


def read_beside(path: Path, *keys: str) -> dict[str, Any]:
    """:func:`read_contents` of a file that belongs to another, with the keys that it must have.

    Raises:
        ValueError: as :func:`read_contents`, and when a key is missing; the message names the file.
    """
    try:
        contents = read_contents(path)
        require_keys(contents, keys)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path.name}: {error.args[0]}") from error
    return contents


def read_array(path: Path) -> np.ndarray:
    """The array of an ``.npy`` file.

    Raises:
        ValueError: when the file is damaged, or holds what could run code.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path.name}: not a readable npy file ({error})") from error


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a readable npz file of plain arrays ({error})") from error


def _read_npy(path: Path) -> dict[str, Any]:
    """The dictionary that ``np.save`` has pickled; empty for a plain array."""
    try:
        with open(path, "rb") as file:
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(file)]
            shape, _, dtype = read_header(file)
            start = file.tell()
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise ValueError(f"not a readable npy file ({error})") from error
    if not dtype.hasobject or shape != ():
        return {}
    value = read_pickle(path, skip=start)
    return _named(value.item() if isinstance(value, np.ndarray) else value)


def _read_dictionary(path: Path) -> dict[str, Any]:
    return _named(read_pickle(path))


def _named(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a pickled dictionary, got {type(value).__name__}")
    return {str(key): part for key, part in value.items()}


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        arrays = loadmat(path)
    except NotImplementedError:  # MATLAB's version 7.3 is HDF5, which keeps the axes reversed.
        return {key: value.T for key, value in _read_hdf5(path).items()}
    # Damaged files fail in every way there is, UnboundLocalError and MemoryError among them.
    except Exception as error:
        raise ValueError(f"not a readable .mat file ({error})") from error
    arrays = {key: value for key, value in arrays.items() if not key.startswith("__")}
    first = next(iter(arrays.values()), None)
    if len(arrays) == 1 and first.dtype.names and first.size == 1:  # one struct of arrays
        return {key: first.reshape(())[key][()] for key in first.dtype.names}
    return arrays


def _read_hdf5(path: Path) -> dict[str, Any]:
    """Every dataset by its path in the file, ``shape/model/mean`` say."""
    import h5py

    contents: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            contents[name] = np.asarray(item[()])

    try:
        with h5py.File(path) as file:
            file.visititems(collect)
    except (OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"not a readable HDF5 file ({error})") from error
    return contents


_BY_SUFFIX: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".pkl": _read_dictionary,
    ".pickle": _read_dictionary,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}
