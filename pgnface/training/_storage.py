"""Files that are whole or absent: atomic writing, and reading that names a broken file."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file atomically: readers see the old file or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # Tensors that share memory, or views, are stored as separate contiguous tensors.
        plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        # Not `save_file`, which makes files that only their owner can read.
        partial.write_bytes(save(plain, metadata=dict(metadata or {})))
        _synchronise(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        FileNotFoundError: when it is absent.
        ValueError: when it is damaged or no safetensors file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    _synchronise(partial)
    partial.replace(path)


def read_json(path: Path) -> dict:
    """A JSON object.

    Raises:
        ValueError: when the file is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or missing: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object")
    return value


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears under its name when the block has succeeded, with all its files."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.iterdir():
            _synchronise(file)
        _synchronise(partial)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        _synchronise(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
