"""What a data source is: batches as a pure function of its seed and the step."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from .batch import FaceBatch


@runtime_checkable
class Source(Protocol):
    """Anything that yields training batches.

    Attributes:
        frames: frames of each subject.
        skipped: name of a file (or part of one) to the reason why it is not used; grows while
            broken files are met.
    """

    frames: int
    skipped: dict[str, str]

    def batch(self, step: int, size: int) -> FaceBatch:
        """The batch of a step: a pure function of the source's settings, ``step`` and ``size``.

        Nothing depends on the batches asked for before, so that a resumed run sees what the
        interrupted one would have seen, in whichever process the batch is made.

        Args:
            step: from 0.
            size: number of *images*; the batch holds ``max(1, size // frames)`` subjects.
        """
        ...


def subject_count(size: int, frames: int) -> int:
    """Subjects that a budget of images allows: at least one."""
    return max(1, size // frames)


def step_generator(seed: int, step: int, slot: int = 0) -> np.random.Generator:
    """The random numbers of one subject (``slot``) of one step."""
    return np.random.default_rng([seed, step, slot])


def stand_ins(position: int, count: int) -> range:
    """Positions to try in an endless order of ``count`` items when the one at ``position`` is bad.

    Two epochs long: one that starts in the middle of an epoch may miss an item.
    """
    return range(position, position + 2 * count)


class EpochOrder:
    """An endless shuffled order of ``count`` items: a new permutation in each epoch.

    Position ``p`` always has the same item for one seed; only the permutation last used is kept.
    """

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise ValueError(f"EpochOrder: count must be positive, got {count}")
        self.count = count
        self.seed = seed
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.count)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            self._epoch = epoch
        return int(self._permutation[offset])
