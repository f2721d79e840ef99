"""AFLW2000-3D and 300W-LP (Zhu et al., CVPR 2016): images with a .mat beside each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .annotated import AnnotatedPhoto, AnnotatedSource
from .annotation import AnnotationError, read_annotation
from .images import IMAGE_SUFFIXES
from .splits import BLOCK, in_split


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


class Aflw2000Source(AnnotatedSource):
    """Annotated photos as training batches of one frame a subject.

    Args:
        root: folder of images and .mat files, searched recursively.
        image_size: pixels of the crops.
        split: ``"all"``, ``"train"`` or ``"validation"`` (:func:`list_samples`).
        **settings: ``seed``, ``augment`` and so on, see
            :class:`pgnface.data.annotated.AnnotatedSource`.

    Raises:
        UserError: when no usable sample is there. Unusable ones are counted in ``skipped``; of
            those with an implausible angle the landmarks are used, and the rotation is not.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        split: str = "train",
        **settings,
    ) -> None:
        skipped: dict[str, str] = {}
        super().__init__(
            annotated_photos(list_samples(root, split), skipped),
            image_size,
            skipped=skipped,
            what=f"{root}, split {split!r}",
            **settings,
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
        weights = np.ones((68, 3))
        weights[:, 2] = annotation.has_depth
        # Angles beyond a profile's are wrong, landmarks fitted with them are not.
        rotation = annotation.rotation if annotation.plausible else None
        photos.append(AnnotatedPhoto(path, path.name, annotation.landmarks, weights, rotation))
    return photos
