"""Batches in the order of the steps, prepared ahead by worker processes where wanted."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from pgnface.data.batch import FaceBatch
from pgnface.data.source import Source


class BatchSource(Protocol):
    """What a run draws from: a pure function of the step, such as a ``Mixture``."""

    sources: Sequence[Source]
    skipped: dict[str, str]

    def batch(self, step: int, size: int) -> list[FaceBatch]:
        """The batches of a step, ``size`` images together."""
        ...


@dataclass
class StepData:
    """The data of one forward pass.

    Attributes:
        batches: one a source.
        skipped: files that could not be used, newly met: name to reason.
    """

    batches: list[FaceBatch]
    skipped: dict[str, str]

    def pin_memory(self, device=None) -> StepData:
        """In page-locked memory; called by the loader."""
        return StepData([batch.pin_memory(device) for batch in self.batches], self.skipped)


class StepDataset(Dataset):
    """A map from the index of a forward pass to its data.

    Args:
        source: what the batches are drawn from.
        batch_size: images of a forward pass.
    """

    def __init__(self, source: BatchSource, batch_size: int) -> None:
        self.source = source
        self.batch_size = batch_size
        self._reported: set[str] = set()

    def __getitem__(self, index: int) -> StepData:
        batches = self.source.batch(index, self.batch_size)
        new = {k: v for k, v in self.source.skipped.items() if k not in self._reported}
        self._reported.update(new)
        return StepData(batches, new)


def step_loader(
    source: BatchSource,
    batch_size: int,
    indices: range,
    workers: int = 0,
    pin_memory: bool = False,
) -> Generator[StepData]:
    """The data of the forward passes ``indices``, in order.

    As the data of a pass depend on its index alone, a run resumes by starting at a later index,
    and the number of workers changes nothing but the speed. Close the generator where it may not be
    exhausted (``contextlib.closing``): that ends the workers, which no signal does.
    """
    loader = DataLoader(
        StepDataset(source, batch_size),
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        # The loader draws a seed; from here it leaves the run's own random numbers alone.
        generator=torch.Generator(),
    )
    yield from loader


def _unchanged(data: StepData) -> StepData:
    return data


def _start_worker(_: int) -> None:
    # Ctrl-C reaches every process of a terminal, a scheduler's SIGTERM every one of a job; the
    # loop's own process decides what happens, and still needs its batch. A worker ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(0)
