"""MICC Florence 3D Faces (Bagdanov, Del Bimbo and Masi, *The Florence 2D/3D Hybrid Face Dataset*,
2011): 53 people, scans in millimetres, and a video in each of three conditions.

::

    subject_01/Model/{frontal1,frontal2,sidel,sider}/obj/*.obj
    subject_01/Video/{Indoor-Cooperative,PTZ-Indoor,PTZ-Outdoor}.mjpg

A video may be a folder of its frames. Some people lack a scan or a video.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .layout import (
    SampleError,
    Skipped,
    existing_folder,
    only_file,
    require_samples,
    skip_or_raise,
)

SCANS = ("frontal1", "frontal2", "sidel", "sider")

CONDITIONS = ("Indoor-Cooperative", "PTZ-Indoor", "PTZ-Outdoor")

_SUBJECT = re.compile(r"subject_(\d+)")
_VIDEO_FOLDERS = ("Video", "Videos", "")


@dataclass(frozen=True)
class MiccSample:
    """A person.

    Attributes:
        subject: number from 1.
        scans: name of :data:`SCANS` to mesh in mm, of those that are there, ``frontal1`` or
            ``frontal2`` among them.
        videos: name of :data:`CONDITIONS` to a video file or a folder of frames.
    """

    subject: int
    scans: dict[str, Path]
    videos: dict[str, Path]

    @property
    def name(self) -> str:
        """As the person's folder is called."""
        return f"subject_{self.subject:02d}"

    @property
    def scan(self) -> Path:
        """The frontal scan: the first, where it is there."""
        return self.scans.get("frontal1") or self.scans["frontal2"]


def list_micc(root: str | Path, skipped: Skipped | None = None) -> list[MiccSample]:
    """The people, by number.

    Args:
        root: folder of the folders ``subject_01`` and so on.
        skipped: takes up people without a frontal scan, and scans that are empty or missing in a
            folder made for them; without it the first raises.

    Raises:
        FileNotFoundError: when the folder is missing.
        SampleError: for what ``skipped`` would take up.
        UserError: when nobody is left.
    """
    root = existing_folder(root)
    samples = []
    for folder in sorted(root.iterdir()):
        match = _SUBJECT.fullmatch(folder.name)
        if match is None or not folder.is_dir():
            continue
        scans = {}
        for name in SCANS:
            if not (folder / "Model" / name).is_dir():
                continue
            try:
                scans[name] = only_file(folder / "Model" / name / "obj", "*.obj")
            except SampleError as error:
                skip_or_raise(f"{folder.name}/{name}", error, skipped)
        if not {"frontal1", "frontal2"} & set(scans):
            error = SampleError(f"{folder / 'Model'}: expected a scan frontal1 or frontal2")
            skip_or_raise(folder.name, error, skipped)
            continue
        samples.append(MiccSample(int(match[1]), scans, _videos(folder)))
    return require_samples(samples, root, "MICC Florence", skipped)


def _videos(folder: Path) -> dict[str, Path]:
    """A file or folder whose name is a condition's, by condition."""
    entries = {}
    for place in _VIDEO_FOLDERS:
        if (folder / place).is_dir():
            for path in sorted((folder / place).iterdir()):
                entries.setdefault(path.stem.lower(), path)
    return {c: entries[c.lower()] for c in CONDITIONS if c.lower() in entries}
