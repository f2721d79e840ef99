"""Stirling/ESRC, as the FG 2018 challenge uses it (Feng et al., *Evaluation of Dense 3D
Reconstruction from 2D Face Images in the Wild*, 2018): 135 people, neutral scans in millimetres.

::

    .../HQ/*.jpg, .../LQ/*.jpg      656 and 1344 photos, F1001_....jpg
    .../F1001_N.obj                 scans, in any folder
    .../F1001_N.lnd                 seven landmarks a scan, lines NUMBER X Y Z

Names are in either case (``f1011_N.obj``); some people have several scans (``M1000_N``,
``M1000_NH``, ``m1000b_N``): the plain one is taken, else the first by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface.data.images import list_images

from .layout import (
    SampleError,
    Skipped,
    checked_points,
    existing_file,
    existing_folder,
    require_samples,
    skip_or_raise,
)

QUALITIES = ("HQ", "LQ")

LANDMARK_COUNT = 7
"""Outer and inner corner of the right eye, inner and outer one of the left, nose bottom, right and
left corner of the mouth (the subject's sides)."""

_SUBJECT = re.compile(r"[FM]\d{4}", re.IGNORECASE)


@dataclass(frozen=True)
class StirlingSample:
    """A photo and the scan of its person.

    Attributes:
        subject: such as ``"F1001"``.
        quality: one of :data:`QUALITIES`.
        image: the photo.
        scan: mesh in mm.
        landmarks: ``(7, 3)`` on the scan in mm.
    """

    subject: str
    quality: str
    image: Path
    scan: Path
    landmarks: NDArray[np.float64]

    @property
    def name(self) -> str:
        """QUALITY/IMAGE without suffix."""
        return f"{self.quality}/{self.image.stem}"


def list_stirling(
    root: str | Path, annotations: str | Path | None = None, skipped: Skipped | None = None
) -> list[StirlingSample]:
    """The samples by quality and name of the photo.

    Args:
        root: folder of the photos and the scans, searched recursively.
        annotations: folder of the .lnd files, searched recursively; default: ``root``.
        skipped: takes up the samples that cannot be used, and why; without it the first raises.

    Raises:
        FileNotFoundError: when a folder is missing.
        SampleError: naming the file, for a missing or damaged one, unless ``skipped`` is given.
        UserError: when no sample is left.
    """
    root = existing_folder(root)
    points = _by_stem(existing_folder(annotations or root), ".lnd")
    scans = {stem: path for stem, path in _by_stem(root, ".obj").items() if _SUBJECT.match(stem)}
    samples = []
    for quality in QUALITIES:
        for image in (p for p in list_images(root) if p.parent.name == quality):
            try:
                samples.append(_sample(quality, image, scans, points))
            except SampleError as error:
                skip_or_raise(f"{quality}/{image.name}", error, skipped)
    return require_samples(samples, root, "Stirling/ESRC", skipped)


def _by_stem(root: Path, suffix: str) -> dict[str, Path]:
    """Files below a folder, by their names in upper case."""
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() == suffix)
    return {path.stem.upper(): path for path in paths}


def _sample(
    quality: str, image: Path, scans: dict[str, Path], points: dict[str, Path]
) -> StirlingSample:
    match = _SUBJECT.match(image.stem)
    if match is None:
        raise SampleError(f"{image}: expected a name that begins with F or M and four digits")
    subject = match[0].upper()
    own = sorted(stem for stem in scans if stem.startswith(subject))
    if not own:
        raise SampleError(f"{image}: no scan of {subject}")
    stem = f"{subject}_N" if f"{subject}_N" in own else own[0]
    if stem not in points:
        raise SampleError(f"{scans[stem]}: no landmarks {stem}.lnd")
    return StirlingSample(
        subject, quality, existing_file(image), existing_file(scans[stem]), read_lnd(points[stem])
    )


def read_lnd(path: str | Path) -> NDArray[np.float64]:
    """Landmarks of an .lnd file in the order of their numbers, ``(7, 3)``.

    Raises:
        SampleError: naming the file, when it is missing or holds something else.
    """
    rows = [line.split() for line in existing_file(Path(path)).read_text().splitlines()]
    rows = [row for row in rows if row]
    if any(len(row) != 4 or not row[0].isdigit() for row in rows):
        raise SampleError(f"{path}: expected lines NUMBER X Y Z")
    rows.sort(key=lambda row: int(row[0]))
    return checked_points([row[1:] for row in rows], LANDMARK_COUNT, Path(path))
