"""What the readers of published folders share."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

Skipped = dict[str, str]
"""Name of a sample to the reason why it cannot be used."""


class SampleError(UserError):
    """A sample whose files are missing or damaged."""


def existing_folder(root: str | Path) -> Path:
    """``root`` as a path.

    Raises:
        FileNotFoundError: when it is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: {root}")
    return root


def find(root: Path, name: str, where: tuple[str, ...] = ("",)) -> Path:
    """The first file or folder called ``name`` in some folders below a root.

    Raises:
        FileNotFoundError: naming what was looked for, when there is none.
    """
    for folder in where:
        if (path := root / folder / name).exists():
            return path
    places = ", ".join(folder or "." for folder in where)
    raise FileNotFoundError(f"{root}: expected {name} in one of the folders {places}")


def existing_file(path: Path) -> Path:
    """``path``, which must be a file.

    Raises:
        SampleError: when it is missing or empty.
    """
    if not path.is_file():
        raise SampleError(f"{path}: no such file")
    if not path.stat().st_size:
        raise SampleError(f"{path}: is empty")
    return path


def only_file(folder: Path, pattern: str) -> Path:
    """The first file of a pattern in a folder, by name.

    Raises:
        SampleError: when there is none, or it is empty.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise SampleError(f"{folder}: expected a file {pattern}, found none")
    return existing_file(found[0])


def skip_or_raise(name: str, error: SampleError, skipped: Skipped | None) -> None:
    """Note a sample that cannot be used; where nobody takes notes, raise."""
    if skipped is None:
        raise error
    skipped[name] = str(error)


def require_samples(samples: list, root: Path, what: str, skipped: Skipped | None) -> list:
    """The samples, of which there must be one.

    Raises:
        UserError: when there is none.
    """
    if not samples:
        raise UserError(f"{root}: no sample of {what} found ({len(skipped or ())} skipped)")
    return samples


def checked_points(points: object, count: int, path: Path) -> NDArray[np.float64]:
    """``(count, 3)`` finite numbers.

    Raises:
        SampleError: naming the file, for anything else.
    """
    try:
        points = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SampleError(f"{path}: expected numbers ({error})") from None
    if points.shape != (count, 3) or not np.isfinite(points).all():
        raise SampleError(f"{path}: expected {count} finite 3D points, got shape {points.shape}")
    return points


def read_picked_points(path: Path, count: int) -> NDArray[np.float64]:
    """MeshLab's picked points (.pp, XML) in their order: ``(count, 3)``.

    Points that are marked as inactive are left out.

    Raises:
        SampleError: when the file is missing, no such XML, or has another number of points.
    """
    try:
        tree = ElementTree.parse(existing_file(path))
        points = [
            [float(point.attrib[axis]) for axis in "xyz"]
            for point in tree.getroot().iter("point")
            if point.attrib.get("active", "1") != "0"
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        if isinstance(error, SampleError):
            raise
        raise SampleError(f"{path}: is no file of picked points ({error})") from None
    return checked_points(points, count, path)
