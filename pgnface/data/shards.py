"""Unlabelled face crops in WebDataset shards: plain tar files, an image a sample."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np

from pgnface._errors import UserError

from .augment import CropJitter
from .images import IMAGE_SUFFIXES, decode_image
from .source import EpochOrder
from .unlabeled import UnlabeledSource, Views, central_square

_EXTENSIONS = tuple(suffix[1:] for suffix in IMAGE_SUFFIXES)


class ShardSource(UnlabeledSource):
    """Images of WebDataset shards; the frames of a subject are crops of one image.

    A shard is read in order, as tar files want it, and held while its samples are used; the order
    of the shards, and of the samples within one, is shuffled anew in each epoch. So any step can be
    made without those before it, at the cost of reading one shard.

    Args:
        shards: path of the .tar files with wildcards or braces (``faces-{000000..000003}.tar``).
        image_size: pixels of the crops.
        frames: crops of each image.
        extent: side of a crop over the longer side of an image, before the jitter.
        seed: of the order and the augmentation.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.

    Raises:
        FileNotFoundError: when no file matches.
        UserError: when no shard holds an image. Damaged shards are used up to the damage and
            counted in ``skipped``, as is an image that cannot be decoded.
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
    ) -> None:
        super().__init__(image_size, frames, seed, identity_count, expression_count, jitter)
        self.extent = extent
        self._paths = expand_shards(shards)
        counts = [self._count(path) for path in self._paths]
        self._paths = [path for path, count in zip(self._paths, counts, strict=True) if count]
        self._counts = [count for count in counts if count]
        if not self._paths:
            raise UserError(f"{shards}: no images in the shards ({len(self.skipped)} unusable)")
        self._shard_order = EpochOrder(len(self._paths), seed)
        self._loaded: tuple[Path, list[tuple[str, bytes]]] | None = None

    def __len__(self) -> int:
        return sum(self._counts)

    def _name(self, position: int) -> str:
        return self._sample(position)[0]

    def _views(self, position: int, rng: np.random.Generator) -> Views:
        name, data = self._sample(position)
        image = decode_image(data, name)
        box = central_square(image, self.extent)
        return Views(name, [image] * self.frames, [box] * self.frames)

    def _sample(self, position: int) -> tuple[str, bytes]:
        """The sample at a place of the endless shuffled order."""
        epoch, offset = divmod(position, len(self))
        for turn in range(len(self._paths)):
            shard = self._shard_order[epoch * len(self._paths) + turn]
            if offset < self._counts[shard]:
                order = EpochOrder(self._counts[shard], self.seed + 1 + shard)
                return self._samples(self._paths[shard])[
                    order[epoch * self._counts[shard] + offset]
                ]
            offset -= self._counts[shard]
        raise AssertionError("an offset below the number of samples lies in some shard")

    def _samples(self, path: Path) -> list[tuple[str, bytes]]:
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = (path, list(self._read(path)))
        return self._loaded[1]

    def _count(self, path: Path) -> int:
        count = sum(1 for _ in self._read(path))
        if path.stat().st_size % tarfile.BLOCKSIZE:
            # A tar file that ends within the header of a member looks complete to the reader.
            self.skipped.setdefault(path.name, "damaged: ends within a block")
        if not count:
            self.skipped.setdefault(path.name, "no images in the shard")
        return count

    def _read(self, path: Path) -> Iterator[tuple[str, bytes]]:
        """Names and encoded images of a shard, up to where it is damaged."""
        from webdataset.tariterators import group_by_keys, tar_file_expander

        def damaged(error: Exception) -> bool:
            self.skipped[path.name] = f"damaged: {error}"
            return True  # go on with what was read

        try:
            with open(path, "rb") as stream:
                source = [{"url": path.name, "stream": stream}]
                for sample in group_by_keys(tar_file_expander(source, handler=damaged)):
                    image = next((sample[e] for e in _EXTENSIONS if e in sample), None)
                    if image is not None:
                        yield f"{path.name}/{sample['__key__']}", image
        except (OSError, tarfile.TarError, ValueError) as error:
            self.skipped[path.name] = f"damaged: {error}"


def expand_shards(pattern: str | Path) -> list[Path]:
    """Files of a pattern with braces and wildcards, sorted.

    Raises:
        FileNotFoundError: when a file named without a wildcard is missing, or nothing matches.
    """
    from webdataset.shardlists import expand_urls

    paths: list[Path] = []
    for entry in expand_urls(str(pattern)):
        found = sorted(glob(entry))
        if not found:
            raise FileNotFoundError(f"no shard matches {entry}")
        paths += map(Path, found)
    return paths
