"""The training loop, on Hugging Face Accelerate: one process, ``torchrun``, mixed precision."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor

from pgnface._output import prepare_folder
from pgnface.data.batch import FaceBatch
from pgnface.networks import split_prediction

from .build import build_network, build_source, build_validation, find_checkpoint
from .checkpoint import (
    latest_checkpoint,
    load_state,
    require_same_run,
    restore_optimizer,
    save_checkpoint,
    save_weights,
)
from .config import TrainConfig, save_config
from .ema import ExponentialAverage
from .failure import report_failure
from .identity import fit_to_rendered_people
from .interruption import StopRequest, TrainingInterrupted
from .loader import BatchSource, StepData, step_loader
from .logging import RunLog, read_history
from .meter import StepMeter
from .objective import Objective
from .optimizer import build_optimizer
from .pictures import overlays
from .schedule import learning_rate_factor
from .validation import HeldOut

if TYPE_CHECKING:
    from pgnface.data.source import Source
    from pgnface.networks import PoseGuidanceNetwork

# A scaler of half precision halves its scale at each overflow; from 2^16 this many reach zero.
_MAX_SKIPPED_UPDATES = 20
_SHOWN_SKIPPED = 3


@dataclass
class TrainResult:
    """What a run leaves.

    Attributes:
        network: with the averaged weights, in evaluation mode.
        folder: of the run; holds ``final.safetensors``.
        step: updates done.
        validation: errors by held-out source at the end.
        history: entries of ``history.jsonl``.
        complete: false when ``max_minutes`` ended the run before its last step.
        skipped: files that could not be used: name to reason.
    """

    network: PoseGuidanceNetwork
    folder: Path
    step: int
    validation: dict[str, dict[str, float]]
    history: list[dict]
    complete: bool
    skipped: dict[str, str]


def train(config: TrainConfig, *, quiet: bool = False) -> TrainResult:
    """Train a network; continues the run in ``config.output`` where there is one.

    Args:
        config: what to train on what; see :func:`pgnface.training.load_config`.
        quiet: no progress on the terminal.

    Raises:
        ValueError: for a configuration that cannot work, a checkpoint of another one, or an output
            folder that cannot be written.
        OSError: when data are missing.
        NonFiniteError: when a loss or a gradient is NaN or infinite.
        TrainingInterrupted: after Ctrl-C or SIGTERM, when the step is finished and saved.
    """
    return Trainer(config, quiet=quiet).run()


class Trainer:
    """One run.

    Args:
        config: of the run.
        network: trained instead of the one that the configuration describes.
        source: drawn from instead of ``config.data``.
        validation: held-out sources by name instead of ``config.validation``.
        quiet: no progress on the terminal.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        network: PoseGuidanceNetwork | None = None,
        source: BatchSource | None = None,
        validation: dict[str, Source] | None = None,
        quiet: bool = False,
    ) -> None:
        self.config = config
        self.folder = Path(config.output)
        # Accelerate keeps one state a process, which would hold the last run's precision.
        AcceleratorState._reset_state(reset_partial_state=config.device == "cpu")
        self.accelerator = Accelerator(
            mixed_precision=config.precision,
            gradient_accumulation_steps=config.accumulate,
            cpu=config.device == "cpu",
            # Not every batch reaches every parameter (landmark offsets need annotated faces).
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if self.accelerator.is_main_process:
            prepare_folder(self.folder)
        self.network = network if network is not None else build_network(config)
        self.source = source if source is not None else build_source(config, self.network)
        if validation is None:
            validation = build_validation(config, self.network)
        self.held_out = HeldOut(validation, config.validation_images, self.source)
        self.network.to(self.accelerator.device)
        self.average = ExponentialAverage(self.network, config.ema_decay)
        self.objective = Objective(self.network, config.loss, config.multiframe)
        optimizer = build_optimizer(self.network, config)
        self.parallel, self.optimizer = self.accelerator.prepare(self.network, optimizer)
        self.step = 0
        self.best = float("inf")
        self.results: dict[str, dict[str, float]] = {}
        self.skipped: dict[str, str] = {}
        messages = self._resume()
        if self.accelerator.is_main_process:
            save_config(config, self.folder / "config.yaml")
        self.log = RunLog(
            self.folder,
            self.step,
            config.steps,
            vars(config.loss),
            active=self.accelerator.is_main_process,
            tensorboard=config.tensorboard,
            quiet=quiet,
        )
        for message in messages:
            self.log.message(message)
        self._stop_request = StopRequest()
        self._skipped_updates = 0

    def run(self) -> TrainResult:
        """Train to the last step, or until time runs out; see :func:`train` for errors."""
        config = self.config
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        passes = config.accumulate * world
        indices = range(self.step * passes + rank, config.steps * passes, world)
        started = time.monotonic()
        self._meter = StepMeter(self.step)
        stopped = False
        try:
            steps = step_loader(
                self.source,
                config.batch_size,
                indices,
                config.workers,
                self.accelerator.device.type == "cuda",
            )
            with self._stop_request, closing(steps) as loader:
                while self.step < config.steps and not stopped:
                    passes = self._next(loader)
                    self._update(passes)
                    out_of_time = config.max_minutes is not None and (
                        time.monotonic() - started > 60 * config.max_minutes
                    )
                    stopped = self._agree(out_of_time or bool(self._stop_request))
                    self._after_update(passes[0], last=stopped or self.step == config.steps)
            if self._stop_request:
                raise TrainingInterrupted(
                    f"training stopped by {self._stop_request} at step {self.step}; "
                    f"the same command continues from {latest_checkpoint(self.folder)}"
                )
            self._finish()
        finally:
            self.log.close()
        return TrainResult(
            network=self.network,
            folder=self.folder,
            step=self.step,
            validation=self.results,
            history=read_history(self.folder),
            complete=self.step >= config.steps,
            skipped=self.skipped,
        )

    def _next(self, loader: Iterator[StepData]) -> list[list[FaceBatch]]:
        """The data of one update: batches of each forward pass, on the device."""
        begin = time.monotonic()
        passes = []
        for _ in range(self.config.accumulate):
            data = next(loader)
            self._note_skipped(data.skipped)
            device = self.accelerator.device
            passes.append([batch.to(device, non_blocking=True) for batch in data.batches])
        self._meter.waited_for_data(time.monotonic() - begin)
        return passes

    def _note_skipped(self, new: dict[str, str]) -> None:
        new = {name: reason for name, reason in new.items() if name not in self.skipped}
        self.skipped.update(new)
        for name, reason in list(new.items())[:_SHOWN_SKIPPED]:
            self.log.message(f"skipped {name}: {reason}")
        if len(new) > _SHOWN_SKIPPED:
            self.log.message(f"skipped {len(new) - _SHOWN_SKIPPED} more")

    def _update(self, passes: Sequence[list[FaceBatch]]) -> None:
        """One update of the weights."""
        config, accelerator = self.config, self.accelerator
        # Dropout and the like are a function of the step: nothing to save, nothing to restore.
        index = self.step * accelerator.num_processes + accelerator.process_index
        torch.manual_seed((config.seed << 40) + index)
        factor = learning_rate_factor(self.step, config.steps, config.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self.parallel.train()
        every_loss = []
        for batches in passes:
            with accelerator.accumulate(self.parallel):
                prediction = self.parallel(torch.cat([batch.images for batch in batches]))
                sizes = [batch.subjects * batch.frames for batch in batches]
                losses = self.objective(
                    batches, split_prediction(prediction, sizes), step=self.step
                )
                accelerator.backward(losses["total"])
            every_loss.append({name: value.detach() for name, value in losses.items()})
        limit = config.grad_clip or float("inf")
        norm = accelerator.clip_grad_norm_(self.network.parameters(), limit)
        self._require_finite(every_loss, torch.as_tensor(norm), passes)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.network)
        self.step += 1
        for losses in [*every_loss, {"gradient_norm": torch.as_tensor(norm)}]:
            self._meter.add(losses)

    def _require_finite(
        self,
        every_loss: list[dict[str, Tensor]],
        norm: Tensor,
        passes: Sequence[list[FaceBatch]],
    ) -> None:
        totals = torch.stack([losses["total"] for losses in every_loss])
        # One wait for the device, for both questions.
        finite_loss, finite_gradient = torch.stack(
            [totals.isfinite().all(), norm.isfinite().to(totals.device)]
        ).tolist()
        self._skipped_updates = 0 if finite_gradient else self._skipped_updates + 1
        if finite_loss and finite_gradient:
            return
        # In half precision an overflow of the scaled gradient is no failure: the update is left
        # out and the scale lowered. It is one when lowering does not help.
        scaled = self.accelerator.scaler is not None
        if scaled and finite_loss and self._skipped_updates < _MAX_SKIPPED_UPDATES:
            return
        worst = next((i for i, value in enumerate(totals.isfinite().tolist()) if not value), 0)
        raise report_failure(
            self.folder,
            self.step,
            {name: float(value) for name, value in every_loss[worst].items()},
            self.network,
            passes[worst],
            self.accelerator.process_index,
        )

    def _after_update(self, batches: Sequence[FaceBatch], last: bool) -> None:
        """Log, validate and save when it is time."""
        config, step = self.config, self.step
        self.log.advance(step)
        if step % config.log_every == 0 or last:
            self._log_losses()
        if self.accelerator.is_main_process:
            if self.log.shows_images and config.image_every and step % config.image_every == 0:
                for i, batch in enumerate(batches):
                    self.log.images(step, f"source_{i}", overlays(self.network, batch))
            if config.validate_every and step % config.validate_every == 0 and not last:
                self._validate()
            if step % config.checkpoint_every == 0 or last:
                self._save()
        if last:
            self.accelerator.wait_for_everyone()

    def _log_losses(self) -> None:
        interval = self._meter.take(self.step)
        if interval.steps:
            norm = interval.means.pop("gradient_norm")
            self.log.training(
                self.step,
                interval.means,
                lr=self.optimizer.param_groups[0]["lr"],
                gradient_norm=norm,
                seconds_per_step=interval.seconds_per_step,
                data_seconds_per_step=interval.data_seconds_per_step,
            )

    def _save(self) -> None:
        state = {"best": self.best, "average_updates": self.average.updates}
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        save_checkpoint(
            self.folder,
            self.step,
            self.network,
            self.average.state,
            self.optimizer.optimizer,
            self.config,
            state,
            self.config.keep_checkpoints,
        )

    def _validate(self) -> None:
        """Calibrate and measure the averaged weights; keep the best ones."""
        with self.average.applied(self.network):
            self._measure()
            if self.results:
                score = sum(r.get("nme", 0.0) for r in self.results.values()) / len(self.results)
                if score < self.best:
                    self.best = score
                    self._export("best.safetensors")

    def _measure(self) -> None:
        begin = time.monotonic()
        self.results = self.held_out.measure(self.network)
        if self.results:
            self.log.validation(self.step, self.results)
        self._meter.leave_out(time.monotonic() - begin)

    def _finish(self) -> None:
        """Leave the averaged weights in the network and write them out."""
        self.network.load_state_dict(self.average.state)
        self.network.for_inference()
        if self.accelerator.is_main_process:
            if self.config.identity_pictures:
                fit = fit_to_rendered_people(
                    self.network, self.config.identity_pictures, self.config.seed
                )
                self.log.message(
                    f"identity of rendered people: shape error {fit.before:.3f} mm before the "
                    f"fit, {fit.after:.3f} after it, mean face {fit.mean_face:.3f}"
                )
            self._measure()
            self._export("final.safetensors")
        self.accelerator.wait_for_everyone()

    def _export(self, name: str) -> None:
        save_weights(
            self.network,
            self.folder / name,
            model_name=self.config.model,
            training={"step": self.step, "validation": self.results},
        )

    def _resume(self) -> list[str]:
        """Continue from a checkpoint if the configuration says so; returns what to tell."""
        config = self.config
        checkpoint = find_checkpoint(config)
        if checkpoint is None:
            return []
        changed = require_same_run(checkpoint, config, self.network.model.digest)
        load_state(self.network, checkpoint.network, checkpoint.path)
        self.average.load(checkpoint.average, checkpoint.state["average_updates"])
        restore_optimizer(self.network, self.optimizer.optimizer, checkpoint.optimizer)
        if self.accelerator.scaler is not None and "scaler" in checkpoint.state:
            self.accelerator.scaler.load_state_dict(checkpoint.state["scaler"])
        self.step, self.best = checkpoint.step, checkpoint.state["best"]
        messages = [f"continuing from {checkpoint.path}"]
        if changed:
            messages.append(f"settings changed since: {'; '.join(changed)}")
        return messages

    def _agree(self, stop: bool) -> bool:
        """Whether any process wants to stop."""
        if self.accelerator.num_processes == 1:
            return stop
        flag = torch.tensor(float(stop), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)
