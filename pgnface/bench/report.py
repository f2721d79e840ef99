"""The table of ``pgnface bench``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from pgnface._errors import UserError

from . import cases, machine, steps
from .case import Case
from .clock import Timing, time_calls
from .inputs import Scene
from .machine import Limits
from .meshes import face_mesh

MESH, SIZE, SETS = "bfm", 224, 4096
_BUDGET = 0.1  # seconds of each measurement


@dataclass(frozen=True)
class Row:
    """One line: a pass of an op or step.

    Attributes:
        name: of the op or step.
        backward: whether gradients are taken too (in training always).
        median, iqr: seconds.
        bytes, operations: the floor, 0 where it is not counted.
        bound: which limit the floor meets first, "memory" or "arithmetic".
        share: least possible time over the measured one.
        torch: median seconds of the torch formulation, where there is one.
    """

    name: str
    backward: bool
    median: float
    iqr: float
    bytes: float = 0
    operations: float = 0
    bound: str | None = None
    share: float | None = None
    torch: float | None = None


def run_bench(
    device: str = "auto", *, threads: int | None = None, batch: int = 16, as_json: bool = False
) -> list[Row]:
    """Measure every op and composed step on this machine, and print a table (or JSON).

    Args:
        device: "cpu", "cuda", or "auto" for CUDA where it can be used.
        threads: CPU threads; torch's present number when not given.
        batch: faces in one call.
        as_json: print JSON, metadata included, and nothing else.

    Raises:
        UserError: for CUDA without a device or without kernels, or numbers below 1.
    """
    device = _resolve(device)
    if batch < 1 or (threads is not None and threads < 1):
        raise UserError("batch and threads must be at least 1")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        limits = machine.measure_limits(device)
        console = Console(stderr=True, quiet=as_json)
        with console.status("measuring"):
            rows = list(_rows(device, batch, limits))
        if as_json:
            facts = {"machine": machine.describe(), "limits": limits._asdict()}
            facts |= {"device": device, "threads": torch.get_num_threads(), "batch": batch}
            print(json.dumps(facts | {"rows": [asdict(row) for row in rows]}, indent=2))
        else:
            _print(rows, limits, device, batch)
    finally:
        torch.set_num_threads(before)
    return rows


def _resolve(device: str) -> str:
    from pgnface import _C

    usable = torch.cuda.is_available() and _C.has_cuda
    if device == "cuda" and not usable:
        why = "no device is seen" if _C.has_cuda else "pgnface was built without CUDA"
        raise UserError(f"CUDA cannot be used: {why}")
    return ("cuda" if usable else "cpu") if device == "auto" else device


def _rows(device: str, batch: int, limits: Limits) -> Iterator[Row]:
    scene = Scene(MESH, batch, SIZE, device)
    makers = (
        *(
            lambda quantized=quantized: cases.evaluate_morphable(
                batch, len(face_mesh(MESH)[0]), quantized=quantized, device=device
            )
            for quantized in (False, True)
        ),
        lambda: cases.solve_pose(SETS, device=device),
        *(
            lambda make=make: make(scene)
            for make in (
                cases.rasterize,
                cases.interpolate,
                cases.edge_gradient,
                cases.vertex_normals,
                cases.vertex_visibility,
                cases.sample_colors,
                cases.census_distance,
                steps.render,
            )
        ),
        lambda: steps.render(scene, edges=True),
        lambda: steps.multiframe_loss(MESH, max(1, batch // 2), 2, SIZE, device=device),
        lambda: steps.inference("small", batch, device=device),
    )
    for make in makers:
        yield from _rows_of(make(), device, limits)
    step = steps.training_step("small", max(1, batch // 2), 2, 128, device=device)
    timing = time_calls(itertools.repeat(step.whole), device, budget=_BUDGET, least=3, warmup=1)
    yield Row("training step", False, timing.median, timing.iqr)


def _rows_of(case: Case, device: str, limits: Limits) -> Iterator[Row]:
    def measure(implementation: str, backward: bool) -> Timing:
        rotate = machine.rotation_size(device)
        calls = case.calls(implementation, backward=backward, rotate=rotate)
        return time_calls(calls, device, budget=_BUDGET, least=3, warmup=1)

    for backward in (False, True) if case.backward else (False,):
        ours, floor = measure("pgnface", backward), case.floor(backward)
        row = {"name": case.name, "backward": backward, "median": ours.median, "iqr": ours.iqr}
        if floor.bytes:
            row |= {**floor._asdict(), "bound": limits.binds(floor)}
            row["share"] = limits.seconds(floor) / ours.median
        if "torch" in case.peers and machine.has_room(floor, device, ours=False):
            row["torch"] = measure("torch", backward).median
        yield Row(**row)


def _print(rows: list[Row], limits: Limits, device: str, batch: int) -> None:
    name = torch.cuda.get_device_name() if device == "cuda" else machine.describe()["cpu"]
    vertices, triangles = map(len, face_mesh(MESH))
    where = name if device == "cuda" else f"{name}, threads: {torch.get_num_threads()}"
    table = Table(
        title=f"{where}: copies {limits.bandwidth / 1e9:.1f} GB/s, "
        f"multiplies {limits.arithmetic / 1e9:.0f} Gflop/s",
        caption=f"Batch {batch}, {vertices:,} vertices and {triangles:,} triangles at {SIZE} x "
        f"{SIZE}; solve_pose: {SETS:,} sets of 68 points; inference and training: the built-in "
        "model and the small encoder at 128 x 128. Medians. MB: the least that must be moved. "
        "limit: the time that this takes at the speed of a copy, as a share of ours (*: the "
        "operations at the speed of a matrix product).",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("op or step", no_wrap=True)
    for heading in ("ms", "MB", "GB/s", "limit", "torch ms", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            "  + backward" if row.backward else row.name,
            _number(row.median * 1e3),
            _number(row.bytes / 1e6) if row.bytes else "",
            f"{row.bytes / row.median / 1e9:.1f}" if row.bytes else "",
            f"{100 * row.share:.0f} %{'*' * (row.bound == 'arithmetic')}" if row.share else "",
            _number(row.torch * 1e3) if row.torch else "",
            f"{row.torch / row.median:.2f}" if row.torch else "",
        )
    Console().print(table)


def _number(value: float) -> str:
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"
