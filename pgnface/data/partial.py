"""A source of which only a part is used: for experiments on what data are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from .batch import FaceBatch
from .source import Source

Labels = Literal["all", "landmarks", "none"]


class PartialSource:
    """Another source with fewer pictures, or fewer labels.

    Args:
        source: gives the pictures.
        labels: ``"landmarks"`` hides coefficients and pose, ``"none"`` the landmarks too.
        pictures: about this many are used, again and again: those of the first steps.
    """

    def __init__(self, source: Source, labels: Labels = "all", pictures: int | None = None) -> None:
        if pictures is not None and pictures < 1:
            raise ValueError(f"PartialSource: pictures must be at least 1, got {pictures}")
        self._source = source
        self._labels = labels
        self._pictures = pictures
        self.frames = source.frames

    @property
    def skipped(self) -> dict[str, str]:
        """What the source left out, and why."""
        return self._source.skipped

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        if self._pictures is not None:
            step %= max(1, self._pictures // size)
        return hide_labels(self._source.batch(step, size), self._labels)


def hide_labels(batch: FaceBatch, labels: Labels) -> FaceBatch:
    """A batch with no other labels than those named; what is hidden is zero."""
    if labels == "all":
        return batch
    hidden = FaceBatch.create(
        batch.image,
        identity_count=batch.identity.shape[-1],
        expression_count=batch.expression.shape[-1],
        warp=batch.warp,
        same_image=batch.same_image,
        names=batch.names,
    )
    if labels == "none":
        return hidden
    return replace(
        hidden,
        landmarks=batch.landmarks,
        landmark_weights=batch.landmark_weights,
        annotated=batch.annotated,
    )
