"""What a run tells: progress on the terminal, history as JSON lines, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch import Tensor

from ._storage import write_text

_HISTORY = "history.jsonl"


class _Bar(Progress):
    """A progress bar with the losses on a line of their own, where they leave it its width."""

    losses = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(self.losses, overflow="ellipsis", no_wrap=True)


class RunLog:
    """The log of one run; on other ranks than the first a log that writes nothing.

    ``history.jsonl`` holds one JSON object a line: ``{"step", "loss": {...}, "lr", ...}`` for
    training and ``{"step", "validation": {source: {...}}}`` for validation.

    Args:
        folder: of the run.
        start: step that the run starts or resumes at; entries of later steps, which will be
            computed again, are dropped.
        steps: length of the run, for the time left.
        weights: of the losses, to show the terms that count most.
        active: whether this process writes.
        tensorboard: whether to write TensorBoard logs.
        quiet: no progress on the terminal.
    """

    def __init__(
        self,
        folder: Path,
        start: int,
        steps: int,
        weights: Mapping[str, float] | None = None,
        *,
        active: bool = True,
        tensorboard: bool = True,
        quiet: bool = False,
    ) -> None:
        self.path = folder / _HISTORY
        self.active = active
        self._weights = dict(weights or {})
        self.console = Console(stderr=True, quiet=quiet or not active, highlight=False)
        self._writer = None
        self._bar = self._task = None
        if not active:
            return
        kept = [entry for entry in read_history(folder) if entry["step"] <= start]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
        if self.console.is_terminal and not quiet:
            self._bar = _Bar(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._task = self._bar.add_task("", total=steps, completed=start)
            self._bar.start()

    def advance(self, step: int) -> None:
        """Move the progress bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def training(self, step: int, losses: Mapping[str, float], **more: float) -> None:
        """Log the losses (means since the last call) and anything else, such as ``lr``."""
        if not self.active:
            return
        self._append({"step": step, "loss": dict(losses), **more})
        terms = [name for name in losses if name != "total"]
        terms.sort(key=lambda name: -self._weights.get(name, 1.0) * losses[name])
        listed = ", ".join(f"{name} {losses[name]:.3g}" for name in terms[:3])
        shown = f"loss {losses['total']:.4g} ({listed})"
        if self._bar is not None:
            self._bar.losses = shown
        else:
            timing = (
                f", {more['seconds_per_step']:.3g} s a step" if "seconds_per_step" in more else ""
            )
            self.console.print(f"step {step}: {shown}{timing}", soft_wrap=True)
        if self._writer is not None:
            for name, value in losses.items():
                self._writer.add_scalar(f"loss/{name}", value, step)
            for name, value in more.items():
                self._writer.add_scalar(f"run/{name}", value, step)

    def validation(self, step: int, results: Mapping[str, Mapping[str, float]]) -> None:
        """Log the results of each held-out source."""
        if not self.active:
            return
        self._append({"step": step, "validation": {k: dict(v) for k, v in results.items()}})
        for source, values in results.items():
            shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            self.console.print(f"step {step}: validation on {source}: {shown}", soft_wrap=True)
            if self._writer is not None:
                for name, value in values.items():
                    self._writer.add_scalar(f"validation/{source}/{name}", value, step)

    @property
    def shows_images(self) -> bool:
        """Whether :meth:`images` does anything."""
        return self._writer is not None

    def images(self, step: int, name: str, images: Tensor) -> None:
        """Log pictures ``(N, 3, H, W)`` in [0, 1] to TensorBoard."""
        if self._writer is not None:
            self._writer.add_images(name, images.clamp(0, 1), step)

    def message(self, text: str) -> None:
        """Say something on the terminal."""
        self.console.print(text, soft_wrap=True, markup=False)

    def close(self) -> None:
        """End the progress bar and write out what is buffered."""
        if self._bar is not None:
            self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def _append(self, entry: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def read_history(folder: str | Path) -> list[dict]:
    """The entries of a run's history, oldest first; empty where there is none.

    A last line cut off by a crash is left out.
    """
    path = Path(folder) / _HISTORY
    entries = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                break
    return entries
