"""The demo: train a small network on rendered people, measure it, and show what it learned."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.data import SyntheticConfig
from pgnface.data.batch import FaceBatch
from pgnface.data.cropping import SquareBox
from pgnface.demo.html_report import Curve, Head, Person, write_report
from pgnface.evaluation.metrics import shape_error, sparse_nme
from pgnface.evaluation.protocols.synthetic import evaluate_synthetic, held_out_people
from pgnface.evaluation.report import print_report
from pgnface.geometry import rotation_distance
from pgnface.info import collect_info, usable_cores
from pgnface.morphable import load_model
from pgnface.networks import NetworkConfig, PoseGuidanceNetwork, split_prediction
from pgnface.networks.inference import predict, uncrop
from pgnface.ops import build_adjacency, vertex_normals
from pgnface.reconstruction.face import Face, build_faces, draw_faces
from pgnface.training import LossWeights, MultiframeConfig, Objective, TrainConfig, Trainer
from pgnface.training.build import build_source
from pgnface.training.config import WeightedSource
from pgnface.training.loader import BatchSource, step_loader

# Pictures of the report are this many times as large as what the network sees.
_ZOOM = 3
_SHOWN_PEOPLE = 8
_MEASURED_PEOPLE = 48
_TIMED_STEPS = (6, 12)
# People are painted when first met; worker processes inherit those that are met before.
_WARM_BATCHES = 14


def run_demo(
    output: str | Path = "pgnface-demo",
    *,
    minutes: float = 6.0,
    model: str = "default",
    seed: int = 0,
) -> Path:
    """Train, measure before and after, and write ``index.html`` and ``head.glb``.

    The number of training steps is fixed by timing a few steps first, so that the learning rate's
    schedule ends with the time.

    Args:
        output: folder; holds the training run too.
        minutes: time for training.
        model: face model to render people from and to learn.
        seed: of weights and training data.

    Returns:
        Path of the report.

    Raises:
        UserError: when the folder cannot be written, or the time is not positive.
    """
    if not minutes > 0:
        raise UserError(f"minutes must be positive, got {minutes:g}")
    output = prepare_folder(output).resolve()
    workers = min(4, usable_cores() // 2)
    threads = torch.get_num_threads()
    # Rendering has cores of its own; more threads than cores would wait for each other.
    torch.set_num_threads(max(1, min(threads, usable_cores() - workers)))
    try:
        return _run(output, minutes, model, seed, workers)
    finally:
        torch.set_num_threads(threads)


def _run(output: Path, minutes: float, model: str, seed: int, workers: int) -> Path:
    started = time.monotonic()
    console = Console(stderr=True, highlight=False)
    _clear_run(output / "run")
    face_model = load_model(model)
    config = demo_config(output / "run", model, seed, workers)
    console.print("Painting people and timing a few training steps ...")
    source = build_source(config, PoseGuidanceNetwork(face_model, config.network))
    for step in range(_WARM_BATCHES):
        source.batch(step, config.batch_size)
    seconds = time_steps(config, source)
    torch.manual_seed(seed)
    network = PoseGuidanceNetwork(face_model, config.network)
    console.print(f"Measuring the untrained network on {_MEASURED_PEOPLE} people ...")
    size = config.network.image_size
    measured = held_out_people(face_model, _MEASURED_PEOPLE, size, degrade=False)
    shown = held_out_people(face_model, _SHOWN_PEOPLE, _ZOOM * size, degrade=False)
    before = evaluate_synthetic(network, faces=measured)
    shown_before = show_people(network, shown)
    # What was spent so far tells what the end will take: a slow or busy machine trains less, so
    # that the whole stays within a few minutes more than was asked for.
    preparation = (time.monotonic() - started) / 60
    minutes = min(minutes, max(minutes / 2, minutes + 2 - 1.5 * preparation))
    steps = max(20, int(60 * minutes / seconds))
    config = replace(
        config,
        steps=steps,
        max_minutes=1.1 * minutes,
        warmup_steps=min(config.warmup_steps, steps // 10),
        checkpoint_every=steps,
        log_every=max(1, steps // 60),
    )
    images = steps * config.batch_size
    console.print(f"Training for {steps} steps of {seconds:.2f} s ({images} pictures) ...")
    training_started = time.monotonic()
    result = Trainer(config, network=network, source=source).run()
    training_minutes = (time.monotonic() - training_started) / 60
    after = evaluate_synthetic(result.network, faces=measured)
    shown_after = show_people(result.network, shown)
    # Of a frontal face the picture shows both cheeks.
    head = min((person.face for person in shown_after), key=lambda face: abs(face.angles[1]))
    head.save(output / "head.glb")
    info = collect_info()
    total = (time.monotonic() - started) / 60
    path = write_report(
        output / "index.html",
        before=before,
        after=after,
        curves=_curves(result.history),
        people=[
            Person(now.face.photo, then.overlay, now.overlay, _caption(then, now))
            for then, now in zip(shown_before, shown_after, strict=True)
        ],
        head=_viewer_head(head),
        head_file="head.glb",
        facts={
            "Processor": f"{info['cpu']}, {info['threads']} threads",
            "GPU": info["cuda_device"] or "none used",
            "Versions": f"pgnface {info['pgnface']}, torch {info['torch']}, "
            f"Python {info['python']}",
            "Face model": f"{face_model.name}: {face_model.vertex_count} vertices, "
            f"{face_model.identity_count} identity and {face_model.expression_count} expression "
            "coefficients",
            "Network": f"{config.network.encoder} encoder, {config.network.image_size} x "
            f"{config.network.image_size} pixels, "
            f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} million parameters",
            "Training": f"{result.step} steps of {config.batch_size} pictures in "
            f"{training_minutes:.1f} minutes",
            "Whole demo": f"{total:.1f} minutes",
        },
        training=(
            f"In {training_minutes:.1f} minutes, on rendered people and without a single "
            f"photograph: {result.step} steps over {result.step * config.batch_size} pictures, two "
            "of each person. It learned from the labels that rendering gives, and from painting "
            "one picture of a person with the colours of the other."
        ),
    )
    print_report(after)
    console.print(
        f"\nBefore: NME {before.nme['2d']['posed_model'].overall:.2f} %, pose "
        f"{before.pose['as_predicted'].mean:.2f} degrees, shape {before.shape['network']:.2f} mm "
        f"(mean face {before.shape['mean_face']:.2f})"
        f"\nReport: {path}   head: {output / 'head.glb'}   ({total:.1f} minutes)",
        soft_wrap=True,
    )
    return path


def demo_config(output: Path, model: str, seed: int, workers: int) -> TrainConfig:
    """The demo's training run, but for its length."""
    return TrainConfig(
        data=(WeightedSource(SyntheticConfig(frames=2, degrade=False)),),
        model=model,
        network=NetworkConfig(encoder="small", image_size=96),
        loss=LossWeights(photometric=0.02, census=0.2, consistency=0.002),
        multiframe=MultiframeConfig(every=2, start=60, subjects=4),
        output=output,
        resume="none",
        seed=seed,
        batch_size=24,
        workers=workers,
        lr=1.5e-3,
        warmup_steps=50,
        ema_decay=0.99,
        validate_every=0,
        image_every=0,
        tensorboard=False,
    )


def time_steps(config: TrainConfig, source: BatchSource) -> float:
    """Seconds of a training step: the mean of a few, of a network that is thrown away.

    A mean over whole periods of the terms that are not computed in every step.
    """
    network = PoseGuidanceNetwork(load_model(config.model), config.network)
    objective = Objective(network, config.loss, replace(config.multiframe, start=0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)
    warm, timed = _TIMED_STEPS
    durations = []
    steps = step_loader(source, config.batch_size, range(warm + timed), config.workers)
    with closing(steps) as loader:
        for step in range(warm + timed):
            begin = time.monotonic()
            batches = next(loader).batches
            prediction = network(torch.cat([batch.images for batch in batches]))
            parts = split_prediction(prediction, [b.subjects * b.frames for b in batches])
            objective(batches, parts, step=step)["total"].backward()
            optimizer.step()
            optimizer.zero_grad()
            durations.append(time.monotonic() - begin)
    return float(np.mean(durations[warm:]))


@dataclass(frozen=True)
class Shown:
    """A held-out face as the report shows it.

    Attributes:
        face: as reconstructed.
        overlay: the picture with its mesh.
        nme: landmark error in percent.
        rotation_error: in degrees.
        shape_error: of the neutral face, in mm.
    """

    face: Face
    overlay: NDArray[np.uint8]
    nme: float
    rotation_error: float
    shape_error: float


def show_people(network: PoseGuidanceNetwork, batch: FaceBatch) -> list[Shown]:
    """Reconstruct the first picture of each person; it is larger than what the network sees."""
    size, count = network.config.image_size, batch.subjects
    images = batch.image[:, 0]
    warps = torch.tensor([[_ZOOM, 0.0, 0.0], [0.0, _ZOOM, 0.0]]).expand(count, 2, 3)
    prediction = uncrop(predict(network, torch.nn.functional.avg_pool2d(images, _ZOOM)), warps)
    side = float(_ZOOM * size)
    photos = [(image.permute(1, 2, 0) * 255).round().byte().numpy() for image in images]
    box = SquareBox(side / 2, side / 2, side)
    faces = build_faces(network, photos, [box] * count, prediction)
    errors = sparse_nme(prediction.posed_landmarks[..., :2], batch.landmarks[:, 0, :, :2])
    turns = rotation_distance(prediction.pose.rotation, batch.pose.rotation[:, 0])
    model = faces[0].model
    shapes = shape_error(model.vertices(prediction.identity), model.vertices(batch.identity))
    return [
        Shown(face, draw_faces(face.photo, [face]), *map(float, values))
        for face, *values in zip(faces, errors, turns, shapes, strict=True)
    ]


def _caption(before: Shown, after: Shown) -> str:
    return (
        f"NME {before.nme:.1f} → {after.nme:.1f} %, pose off by {before.rotation_error:.0f}° → "
        f"{after.rotation_error:.1f}°, shape by {before.shape_error:.1f} → "
        f"{after.shape_error:.1f} mm"
    )


def _curves(history: Sequence[dict]) -> dict[str, list[Curve]]:
    """Plots of the losses that a run's history holds, by heading."""
    entries = [entry for entry in history if "loss" in entry]

    def curve(term: str) -> Curve:
        known = [entry for entry in entries if term in entry["loss"]]
        return Curve(
            term.replace("_", " "),
            [entry["step"] for entry in known],
            [entry["loss"][term] for entry in known],
        )

    groups = {
        "Distance of the landmarks of the position map and of the posed model from the truth, "
        "relative to the picture": ("landmarks", "posed_landmarks"),
        "Difference between the real picture and the one painted with the other picture's colours "
        "(multi-frame self-supervision)": ("photometric", "census"),
        "Error of the predicted shape, and disagreement about one person's two pictures": (
            "shape",
            "consistency",
        ),
    }
    plots = {title: [curve(term) for term in terms] for title, terms in groups.items()}
    return {title: lines for title, lines in plots.items() if any(line.x for line in lines)}


def _viewer_head(face: Face) -> Head:
    adjacency = build_adjacency(face.model.triangles, face.model.vertex_count)
    return Head(
        vertices=face.shape.numpy(),
        normals=vertex_normals(face.shape[None], adjacency)[0].numpy(),
        colors=face.colors.numpy(),
        triangles=face.model.triangles.numpy(),
    )


def _clear_run(folder: Path) -> None:
    """Remove the training run of an earlier demo, and nothing else."""
    if (folder / "config.yaml").is_file():
        shutil.rmtree(folder)
