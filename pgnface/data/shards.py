"""Face crops in WebDataset shards: plain tar files, an image a sample.

A .json beside an image, as :mod:`pgnface.data.prepare` writes it, says where the face's box is,
whose face it is, and where its landmarks are, if that is known.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from glob import glob
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

from .augment import CropJitter
from .cropping import SquareBox
from .images import IMAGE_SUFFIXES, decode_image
from .points import JAW
from .prepare.chunk import part_of
from .source import EpochOrder
from .unlabeled import Landmarks, UnlabeledSource, Views, central_square

GROUPS = ("image", "track", "identity")

_EXTENSIONS = tuple(suffix[1:] for suffix in IMAGE_SUFFIXES)


class ShardImage(NamedTuple):
    """An image of a shard.

    Attributes:
        name: the shard's and the sample's.
        data: the encoded image.
        about: what the .json beside it says; empty without one.
        suffix: of the image's file, without the point.
    """

    name: str
    data: bytes
    about: dict
    suffix: str = "jpg"

    def box(self, image: NDArray[np.uint8], extent: float) -> SquareBox:
        """Where the face is: the .json says it, or the image is a face crop.

        Args:
            image: decoded.
            extent: see :func:`pgnface.data.unlabeled.central_square`.

        Raises:
            UserError: for a ``crop_box`` that is none.
        """
        if "crop_box" not in self.about:
            return central_square(image, extent)
        try:
            x, y, side = map(float, self.about["crop_box"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: expected crop_box [x, y, side] ({error})") from None
        if not (np.isfinite((x, y, side)).all() and side > 0):
            raise UserError(f"{self.name}: expected crop_box [x, y, side], got {[x, y, side]}")
        return SquareBox(x, y, side)


class ShardSource(UnlabeledSource):
    """Images of WebDataset shards.

    The frames of a subject are crops of one image, or images of one person. A shard is read in
    order, as tar files want it, and held while its samples are used; the order of the shards, and
    of the samples within one, is shuffled anew in each epoch. So any step can be made without those
    before it, at the cost of reading one shard.

    Args:
        shards: path of the .tar files with wildcards or braces (``faces-{000000..000003}.tar``), or
            their folder.
        image_size: pixels of the crops.
        frames: crops of each subject.
        extent: side of a crop over the longer side of an image, before the jitter, where no .json
            says where the face's box is.
        group: what a subject is: an ``"image"``, or what a shard holds of a ``"track"`` (a face
            followed through a video) or of an ``"identity"`` (a person, whose videos may differ in
            light and in years), by the .json of each image.
        seed: of the order and the augmentation.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.

    Raises:
        FileNotFoundError: when no file matches.
        UserError: when no shard holds a subject. Damaged shards are used up to the damage and
            counted in ``skipped``, as is an image that cannot be decoded or a subject of fewer
            images than ``frames``.
    """

    def __init__(
        self,
        shards: str | Path,
        image_size: int,
        frames: int = 2,
        extent: float = 1.0,
        seed: int = 0,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
        group: str = "image",
    ) -> None:
        super().__init__(image_size, frames, seed, identity_count, expression_count, jitter)
        if group not in GROUPS:
            raise UserError(f"group must be one of {', '.join(GROUPS)}, got {group!r}")
        self.extent = extent
        self.group = group
        self.same_image = group == "image"
        self._paths = expand_shards(shards)
        counts = [self._count(path) for path in self._paths]
        self._paths = [path for path, count in zip(self._paths, counts, strict=True) if count]
        self._counts = [count for count in counts if count]
        if not self._paths:
            raise UserError(
                f"{shards}: no {self._what} in the shards ({len(self.skipped)} unusable)"
            )
        self._shard_order = EpochOrder(len(self._paths), seed)
        self._loaded: tuple[Path, list[list[ShardImage]]] | None = None

    @property
    def _what(self) -> str:
        return "images" if self.group == "image" else f"{self.group} of {self.frames} images"

    def __len__(self) -> int:
        return sum(self._counts)

    def _name(self, position: int) -> str:
        return self._subject_name(self._subject(position))

    def _subject_name(self, images: list[ShardImage]) -> str:
        return images[0].name if self.group == "image" else str(images[0].about[self.group])

    def _views(self, position: int, rng: np.random.Generator) -> Views:
        subject = self._subject(position)
        if self.group == "image":
            chosen = subject * self.frames
            images = [decode_image(subject[0].data, subject[0].name)] * self.frames
        else:
            # One from each of equal stretches: frames side by side would teach nothing.
            edges = np.linspace(0, len(subject), self.frames + 1).astype(int)
            chosen = [subject[int(rng.integers(a, b))] for a, b in pairwise(edges)]
            images = [decode_image(entry.data, entry.name) for entry in chosen]
        boxes = [e.box(image, self.extent) for e, image in zip(chosen, images, strict=True)]
        landmarks = [known_landmarks(entry) for entry in chosen]
        return Views(self._subject_name(subject), images, boxes, landmarks)

    def _subject(self, position: int) -> list[ShardImage]:
        """The images of the subject at a place of the endless shuffled order."""
        epoch, offset = divmod(position, len(self))
        for turn in range(len(self._paths)):
            shard = self._shard_order[epoch * len(self._paths) + turn]
            if offset < self._counts[shard]:
                order = EpochOrder(self._counts[shard], self.seed + 1 + shard)
                subjects = self._subjects(self._paths[shard])
                if len(subjects) != self._counts[shard]:
                    raise UserError(
                        f"{self._paths[shard]}: expected {self._counts[shard]} subjects, got "
                        f"{len(subjects)}: it has changed; pgnface data verify looks at them all"
                    )
                return subjects[order[epoch * self._counts[shard] + offset]]
            offset -= self._counts[shard]
        raise AssertionError("an offset below the number of subjects lies in some shard")

    def _subjects(self, path: Path) -> list[list[ShardImage]]:
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = (path, self._grouped(read_shard(path, self.skipped)))
        return self._loaded[1]

    def _grouped(self, images: Iterable[ShardImage]) -> list[list[ShardImage]]:
        """The images of each subject, in the order in which subjects come up."""
        if self.group == "image":
            return [[image] for image in images]
        subjects: dict[str, list[ShardImage]] = {}
        for image in images:
            if (key := image.about.get(self.group)) is None:
                self.skipped[image.name] = f"its .json names no {self.group}"
            else:
                subjects.setdefault(key, []).append(image)
        return [members for key, members in subjects.items() if self._enough(key, len(members))]

    def _enough(self, key: str, count: int) -> bool:
        """Whether a subject has images for all frames."""
        if count < self.frames:
            self.skipped[key] = f"{count} images, expected at least {self.frames}"
        return count >= self.frames

    def _count(self, path: Path) -> int:
        """Subjects of a shard: what its preparation noted, else by reading it all."""
        if (part := part_of(path)) is not None:
            if self.group == "image":
                return part["shard"]["samples"]
            return sum(self._enough(*item) for item in part["groups"][self.group].items())
        count = len(self._grouped(read_shard(path, self.skipped)))
        if path.stat().st_size % tarfile.BLOCKSIZE:
            # A tar file that ends within the header of a member looks complete to the reader.
            self.skipped.setdefault(path.name, "damaged: ends within a block")
        if not count:
            self.skipped.setdefault(path.name, f"no {self._what} in the shard")
        return count


def read_shard(path: Path, skipped: dict[str, str]) -> Iterator[ShardImage]:
    """Images of a shard, up to where it is damaged; ``skipped`` is told of that."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    def damaged(error: Exception) -> bool:
        skipped[path.name] = f"damaged: {error}"
        return True  # go on with what was read

    try:
        with open(path, "rb") as stream:
            source = [{"url": path.name, "stream": stream}]
            for sample in group_by_keys(tar_file_expander(source, handler=damaged)):
                suffix = next((e for e in _EXTENSIONS if e in sample), None)
                if suffix is not None:
                    name = f"{path.name}/{sample['__key__']}"
                    about = _read_about(name, sample.get("json"), skipped)
                    yield ShardImage(name, sample[suffix], about, suffix)
    except (OSError, tarfile.TarError, ValueError) as error:
        skipped[path.name] = f"damaged: {error}"


def _read_about(name: str, data: bytes | None, skipped: dict[str, str]) -> dict:
    """What a .json says."""
    try:
        about = json.loads(data or b"{}")
    except ValueError as error:
        about, skipped[name] = {}, f"its .json is damaged ({error})"
    return about if isinstance(about, dict) else {}


def known_landmarks(entry: ShardImage) -> Landmarks | None:
    """What the .json says of an image's landmarks; None where it says nothing.

    Raises:
        UserError: for what are no 68 points.
    """
    if (given := entry.about.get("landmarks")) is None:
        return None
    try:
        known = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{entry.name}: expected 68 landmarks ({error})") from None
    if known.shape not in ((68, 2), (68, 3)) or not np.isfinite(known).all():
        raise UserError(f"{entry.name}: expected 68 finite landmarks, got shape {known.shape}")
    points, weights = np.zeros((68, 3)), np.zeros((68, 3))
    points[:, : known.shape[1]] = known
    weights[:, : known.shape[1]] = 1
    if entry.about.get("jaw_on_contour"):
        weights[JAW] = 0
    return Landmarks(points, weights)


def expand_shards(pattern: str | Path) -> list[Path]:
    """Files of a pattern with braces and wildcards, or the .tar files of a folder, sorted.

    Raises:
        FileNotFoundError: when a file named without a wildcard is missing, or nothing matches.
    """
    from webdataset.shardlists import expand_urls

    if Path(pattern).is_dir():
        pattern = Path(pattern, "*.tar")
    paths: list[Path] = []
    for entry in expand_urls(str(pattern)):
        found = sorted(glob(entry))
        if not found:
            raise FileNotFoundError(f"no shard matches {entry}")
        paths += map(Path, found)
    return paths
