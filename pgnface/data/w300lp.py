"""300W-LP (Zhu et al., CVPR 2016): photos of 300-W, turned to large yaws, and their mirror images.

::

    300W_LP/{AFW,HELEN,IBUG,LFPW}/NAME_0.jpg, NAME_0.mat    the photo
    300W_LP/{AFW,HELEN,IBUG,LFPW}/NAME_1.jpg, ...           turned further and further
    300W_LP/{AFW,HELEN,IBUG,LFPW}_Flip/...                  mirrored
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pgnface._errors import UserError

from .aflw2000 import annotated_photos, list_samples
from .annotated import AnnotatedSource
from .splits import in_split

SUBSETS = ("AFW", "HELEN", "IBUG", "LFPW")

_NAME = re.compile(r"(.+)_(\d+)")


def list_300wlp(
    root: str | Path,
    split: str = "all",
    subsets: Sequence[str] = SUBSETS,
    mirrored: bool = False,
    turned: bool = True,
) -> list[Path]:
    """Image files with a .mat beside them, by subset and name.

    Pictures of one photo, turned or mirrored, are in one split; of every five blocks of 20 photos
    the first four train, the fifth validates.

    Args:
        root: folder of the subsets.
        split: ``"all"``, ``"train"`` or ``"validation"``.
        subsets: of :data:`SUBSETS`; those that are not there are left out.
        mirrored: with the mirror images, which training makes itself.
        turned: with the turned photos.

    Raises:
        FileNotFoundError: when no subset is there.
        UserError: for an unknown subset.
        ValueError: for an unknown split.
    """
    unknown = set(subsets) - set(SUBSETS)
    if unknown:
        raise UserError(
            f"subsets must be of {', '.join(SUBSETS)}, got {', '.join(sorted(unknown))}"
        )
    folders = [Path(root, s + flip) for s in subsets for flip in ("", "_Flip")[: 1 + mirrored]]
    paths = [path for folder in folders if folder.is_dir() for path in list_samples(folder)]
    if not any(folder.is_dir() for folder in folders):
        raise FileNotFoundError(f"{root}: expected folders {', '.join(subsets)}")
    if not turned:
        paths = [path for path in paths if _number(path) == 0]
    photos = sorted({photo_of(path) for path in paths})
    chosen = {photo for i, photo in enumerate(photos) if in_split(i, split)}
    return [path for path in paths if photo_of(path) in chosen]


def photo_of(path: Path) -> str:
    """What pictures of one photo have in common: subset and name."""
    match = _NAME.fullmatch(path.stem)
    return f"{path.parent.name.removesuffix('_Flip')}/{match[1] if match else path.stem}"


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.stem)
    return int(match[2]) if match else 0


class W300LpSource(AnnotatedSource):
    """Photos of 300W-LP as training batches of one frame a subject.

    The .mat files know the 68 landmarks in the plane of the picture alone, and the head's rotation.

    Args:
        root, split, subsets, mirrored, turned: see :func:`list_300wlp`.
        image_size: pixels of the crops.
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
        subsets: Sequence[str] = SUBSETS,
        mirrored: bool = False,
        turned: bool = True,
        **settings,
    ) -> None:
        skipped: dict[str, str] = {}
        super().__init__(
            annotated_photos(list_300wlp(root, split, subsets, mirrored, turned), skipped),
            image_size,
            skipped=skipped,
            what=f"{root}, split {split!r}",
            **settings,
        )
