"""What there is to prepare: photos, videos and folders of frames, in one order on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Literal

from pgnface._errors import UserError
from pgnface.data.images import IMAGE_SUFFIXES
from pgnface.data.video import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Unit:
    """What is prepared as a whole.

    Attributes:
        kind: one photo, one video, or the frames of a folder.
        name: path below the input it was found in.
        paths: the files: one, or the frames in order.
        identity: the person, where the layout says so.
    """

    kind: Literal["photo", "video", "frames"]
    name: str
    paths: tuple[Path, ...]
    identity: str | None = None

    def weight(self, max_frames: int) -> int:
        """Images expected of it."""
        counts = {"photo": 1, "video": max_frames, "frames": min(len(self.paths), max_frames)}
        return counts[self.kind]


def list_units(inputs: Sequence[str | Path], layout: str) -> list[Unit]:
    """The units of files and folders, in the order of the inputs and, below them, of the names.

    Raises:
        FileNotFoundError: for an input that is missing.
        UserError: for a file of an unknown kind, none that is usable, or two of one name.
    """
    units: list[Unit] = []
    for entry in map(Path, inputs):
        if not entry.exists():
            raise FileNotFoundError(f"no such file or folder: {entry}")
        prefix = f"{entry.name}/" if len(inputs) > 1 and entry.is_dir() else ""
        root, files = (entry, _files(entry)) if entry.is_dir() else (entry.parent, [entry])
        if entry.is_file() and not _is(entry, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            raise UserError(f"{entry}: is neither an image nor a video, by its suffix")
        units += _units(root, files, layout, prefix)
    if not units:
        raise UserError(f"no image or video in {', '.join(map(str, inputs))}")
    names = sorted(unit.name for unit in units)
    twice = [a for a, b in pairwise(names) if a == b]
    if twice:
        raise UserError(f"two inputs are called {twice[0]}: prepare them one by one")
    return units


def _units(root: Path, files: list[Path], layout: str, prefix: str) -> Iterable[Unit]:
    def name(path: Path) -> str:
        return prefix + path.relative_to(root).as_posix()

    def identity(path: Path) -> str | None:
        if layout == "photos":
            return None
        parts = path.relative_to(root).parts
        return prefix + (parts[0] if len(parts) > 1 else path.stem)

    for folder, members in groupby(files, key=lambda path: path.parent):
        members = list(members)
        images = [path for path in members if _is(path, IMAGE_SUFFIXES)]
        if layout == "people" and images and folder != root:
            yield Unit("frames", name(folder), tuple(images), identity(images[0]))
            members = [path for path in members if path not in set(images)]
        for path in members:
            kind = "photo" if _is(path, IMAGE_SUFFIXES) else "video"
            yield Unit(kind, name(path), (path,), identity(path))


def _files(root: Path) -> list[Path]:
    """Images and videos below a folder, those of one folder side by side, 2 before 10."""
    suffixes = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    paths = [path for path in root.rglob("*") if _is(path, suffixes) and path.is_file()]
    return sorted(paths, key=lambda p: (natural(p.parent.as_posix()), natural(p.name)))


def _is(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that takes the digits of names for numbers."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", text)
        if part
    ]


def chunk_units(units: Sequence[Unit], size: int, max_frames: int) -> list[list[Unit]]:
    """Neighbouring units that together give about ``size`` images; one shard comes of each."""
    chunks: list[list[Unit]] = [[]]
    total = 0
    for unit in units:
        weight = unit.weight(max_frames)
        if chunks[-1] and total + weight > size:
            chunks.append([])
            total = 0
        chunks[-1].append(unit)
        total += weight
    return chunks
