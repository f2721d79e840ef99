"""What is left behind when a loss or a gradient is not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from pgnface.data.batch import FaceBatch

from ._storage import new_folder, write_tensors, write_text


class NonFiniteError(FloatingPointError):
    """A loss or a gradient is NaN or infinite; the weights were not touched by it.

    Attributes:
        step: updates done before.
        report: folder with ``report.json`` and the batch as ``batch.safetensors``.
    """

    def __init__(self, message: str, step: int, report: Path) -> None:
        super().__init__(message)
        self.step = step
        self.report = report


def report_failure(
    folder: Path,
    step: int,
    losses: Mapping[str, float],
    network: nn.Module,
    batches: Sequence[FaceBatch],
    rank: int = 0,
) -> NonFiniteError:
    """Write the report and return the error to raise.

    Args:
        folder: where the report's folder is made.
        step: updates done before.
        losses: the terms of the objective.
        network: its gradients are looked at.
        batches: what the step was made of.
        rank: of this process; the others of a distributed run write reports of their own.
    """
    bad_losses = [name for name, value in losses.items() if not math.isfinite(value)]
    bad_gradients = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not parameter.grad.isfinite().all()
    ]
    bad_inputs = [
        f"batch {i}: {key}"
        for i, batch in enumerate(batches)
        for key, tensor in batch_tensors(batch).items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    report = folder / (f"failure_step_{step:08d}" + (f"_rank_{rank}" if rank else ""))
    with new_folder(report) as made:
        content = {
            "step": step,
            "losses": {k: v if math.isfinite(v) else str(v) for k, v in losses.items()},
            "losses_not_finite": bad_losses,
            "gradients_not_finite": bad_gradients,
            "inputs_not_finite": bad_inputs,
            "samples": [batch.names for batch in batches],
        }
        write_text(made / "report.json", json.dumps(content, indent=1))
        tensors = {
            f"{i}.{key}": tensor
            for i, batch in enumerate(batches)
            for key, tensor in batch_tensors(batch).items()
        }
        write_tensors(made / "batch.safetensors", tensors)
    cause = (
        f"the loss is not finite in {', '.join(bad_losses)}"
        if bad_losses
        else f"the gradient is not finite in {', '.join(bad_gradients[:5])}"
    )
    inputs = f" (the batch itself holds NaN: {', '.join(bad_inputs[:3])})" if bad_inputs else ""
    return NonFiniteError(
        f"training stopped at step {step}: {cause}{inputs}; "
        f"the batch and its sample names are in {report}",
        step,
        report,
    )


def batch_tensors(batch: FaceBatch) -> dict[str, Tensor]:
    """Every tensor of a batch by name."""
    tensors = {k: v for k, v in vars(batch).items() if isinstance(v, Tensor)}
    return {**tensors, **{f"pose.{k}": v for k, v in batch.pose._asdict().items()}}
