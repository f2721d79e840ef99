"""AFLW2000-3D and 300W-LP (Zhu et al., CVPR 2016): images with a .mat beside each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .annotated import AnnotatedPhoto, AnnotatedSource
from .annotation import MAX_ANGLE, Annotation, AnnotationError, read_annotation
from .augment import CropJitter
from .images import IMAGE_SUFFIXES

__all__ = [
    "Aflw2000Source",
    "Annotation",
    "AnnotationError",
    "annotated_photos",
    "list_samples",
    "read_annotation",
]

BLOCK = 20
"""Consecutive files often show one person: splits cut between blocks of this many files."""

_SPLITS = ("all", "train", "validation")


def list_samples(root: str | Path, split: str = "all", block: int = BLOCK) -> list[Path]:
    """Image files with a .mat beside them, sorted by name, of a split.

    Of every five blocks of ``block`` consecutive files the first four train, the fifth validates.

    Raises:
        FileNotFoundError: when the folder is missing.
        ValueError: for an unknown split.
    """
    in_split(0, split)  # an unknown one, before the work
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: {root}")
    paths = sorted(
        p
        for p in root.rglob("*")
        if p.suffix.lower() in IMAGE_SUFFIXES and p.with_suffix(".mat").exists()
    )
    return [path for i, path in enumerate(paths) if in_split(i, split, block)]


def in_split(index: int, split: str, block: int = BLOCK) -> bool:
    """Whether the ``index``-th item belongs to a split: of every five blocks the fifth validates.

    Raises:
        ValueError: for an unknown split.
    """
    if split not in _SPLITS:
        raise ValueError(f"split must be one of {_SPLITS}, got {split!r}")
    return split == "all" or (index // block % 5 == 4) == (split == "validation")


class Aflw2000Source(AnnotatedSource):
    """Annotated photos as training batches of one frame a subject.

    Args:
        root: folder of images and .mat files, searched recursively.
        image_size: pixels of the crops.
        split: ``"all"``, ``"train"`` or ``"validation"`` (:func:`list_samples`).
        seed: of the order and the augmentation.
        augment: random mirroring, crops, colours, occluders and noise; without it, crops as in the
            evaluation, in the order of the names.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.

    Raises:
        UserError: when no usable sample is there. Unusable ones, and those with an implausible
            angle, are counted in ``skipped``.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        split: str = "train",
        seed: int = 0,
        augment: bool = True,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
    ) -> None:
        skipped: dict[str, str] = {}
        super().__init__(
            annotated_photos(list_samples(root, split), skipped),
            image_size,
            seed=seed,
            augment=augment,
            identity_count=identity_count,
            expression_count=expression_count,
            jitter=jitter,
            skipped=skipped,
            what=f"{root}, split {split!r}",
        )


def annotated_photos(paths: Iterable[Path], skipped: dict[str, str]) -> list[AnnotatedPhoto]:
    """Photos and what the .mat files beside them say; unusable ones are put into ``skipped``."""
    photos = []
    for path in paths:
        try:
            annotation = read_annotation(path.with_suffix(".mat"))
        except AnnotationError as error:
            skipped[path.name] = str(error)
            continue
        if not annotation.plausible:
            skipped[path.name] = f"an annotated angle beyond {MAX_ANGLE:g} degrees"
            continue
        weights = np.ones((68, 3))
        weights[:, 2] = annotation.has_depth
        photos.append(
            AnnotatedPhoto(path, path.name, annotation.landmarks, weights, annotation.rotation)
        )
    return photos
