"""Several sources in one run."""

from __future__ import annotations

from collections.abc import Sequence

from .batch import FaceBatch
from .source import Source


class Mixture:
    """Sources that share each step's budget of images by weight.

    Args:
        sources: pairs of a source and its positive weight.

    Raises:
        ValueError: for no source, or a weight that is not positive.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]]) -> None:
        if not sources:
            raise ValueError("Mixture: sources must not be empty")
        for source, weight in sources:
            if not weight > 0:
                raise ValueError(
                    f"Mixture: weights must be positive, got {weight} for {type(source).__name__}"
                )
        self.sources = [source for source, _ in sources]
        self.weights = [float(weight) for _, weight in sources]

    @property
    def skipped(self) -> dict[str, str]:
        """What the sources left out, and why."""
        return {name: why for source in self.sources for name, why in source.skipped.items()}

    def sizes(self, size: int) -> list[int]:
        """Images of each source in a step of ``size`` images.

        Shares are rounded to whole subjects by largest remainder; every source gets at least one
        subject, so that a small batch may come out a little larger than ``size``.
        """
        total = sum(self.weights)
        frames = [source.frames for source in self.sources]
        shares = [size * w / total / f for w, f in zip(self.weights, frames, strict=True)]
        subjects = [max(1, int(share)) for share in shares]
        by_remainder = sorted(range(len(shares)), key=lambda i: subjects[i] - shares[i])
        for i in by_remainder:
            used = sum(s * f for s, f in zip(subjects, frames, strict=True))
            if subjects[i] < shares[i] and used + frames[i] <= size:
                subjects[i] += 1
        return [s * f for s, f in zip(subjects, frames, strict=True)]

    def batch(self, step: int, size: int) -> list[FaceBatch]:
        """One batch a source, together about ``size`` images; a pure function of ``step``."""
        return [
            source.batch(step, share)
            for source, share in zip(self.sources, self.sizes(size), strict=True)
        ]
