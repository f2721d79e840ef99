"""Shape of rendered people of another face model than the network's, by number of frames.

The truth is the neutral surface of a person whom neither the network nor its face model has seen.
The error is Deng's of MICC Florence: point-to-plane after a similarity ICP, of the truth within
95 mm of the nose tip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.fitting import fit_surface
from pgnface.geometry.landmarks import NOSE_TIP, STABLE_LANDMARKS
from pgnface.morphable import MorphableModel, load_model
from pgnface.networks import PoseGuidanceNetwork, Prediction, split_prediction
from pgnface.networks.inference import model_on_cpu, predict, resolve_network
from pgnface.reconstruction.person import METHODS, one_identity

from ..metrics import align_points
from ..report import describe
from ..result import Result, Table
from .florence.distances import RADIUS, deng_rmse
from .synthetic import HELD_OUT_SEED

if TYPE_CHECKING:
    from torch import Tensor

# Points of the true surface, spread evenly: its vertices crowd around eyes and mouth.
_POINTS = 1000
# Disjoint groups of a person's frames that are measured for each number of frames, at most.
_GROUPS = 4

# As far as rendered people for training go (pgnface.data.synthetic.sampling).
_PLAUSIBLE = 2.5

_MEAN, _SINGLE = "mean face", "1 frame"
_BEST = {f"best of the model within {_PLAUSIBLE:g} std": _PLAUSIBLE, "best of the model": np.inf}


def evaluate_shape(
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    faces: str | Path | MorphableModel | None = None,
    people: int = 24,
    frames: int = 16,
    seed: int = HELD_OUT_SEED,
    methods: Sequence[str] = METHODS,
    batch_size: int = 32,
) -> Result:
    """Errors of neutral shapes of rendered people, from one frame and from several.

    A person's frames differ in expression, pose, light, background and camera. For each number of
    frames 1, 2, 4, ... up to four disjoint groups of so many are reconstructed, and a person's
    error is the mean of the groups'. Beside the network stand the mean face of its model (what a
    network that sees nothing would say) and the model fitted to the true surface (what a network of
    this model could say at best), with coefficients as training has them and with any.

    Args:
        checkpoint: weights to load, or a network.
        faces: the face model of the people, a file as for :func:`pgnface.morphable.load_model`; the
            network's own when missing.
        people: how many.
        frames: of each person.
        seed: of the people; training seeds are others.
        methods: how frames are fused, of :data:`pgnface.reconstruction.person.METHODS`.
        batch_size: faces in one run of the network.

    Raises:
        UserError: for numbers below 1 or unknown methods.
    """
    if people < 1 or frames < 1 or batch_size < 1:
        raise UserError(
            f"people, frames and batch size must be at least 1, got {people}, {frames}, "
            f"{batch_size}"
        )
    if not methods or not set(methods) <= set(METHODS):
        raise UserError(f"methods must be of {', '.join(METHODS)}, got {', '.join(methods)!r}")
    network = resolve_network(checkpoint)
    model = model_on_cpu(network.model)
    other = faces if isinstance(faces, MorphableModel) else load_model(faces) if faces else model
    counts = [2**k for k in range(frames.bit_length())]
    rows: dict[str, list[float]] = {}
    for truth, images in _rendered(other, people, frames, network.config.image_size, seed):
        prediction = predict(network, images, batch_size)
        for name, error in _errors(network, truth, prediction, counts, methods):
            rows.setdefault(name, []).append(error)
    errors = {name: np.array(values) for name, values in rows.items()}
    return Result(
        title="Shape of rendered people",
        facts={
            "checkpoint": describe(checkpoint),
            "model": model.name,
            "people's model": other.name,
            "people": people,
            "frames of each": frames,
            "seed": seed,
        },
        tables=_tables(errors),
        errors={
            name: errors[name]
            for name in dict.fromkeys((_MEAN, _SINGLE, _row(methods[0], counts[-1]), *_BEST))
        },
    )


class _Truth:
    """The true neutral surface of a person: evenly spread points on it and its landmarks."""

    def __init__(self, model: MorphableModel, identity: Tensor, places: tuple) -> None:
        vertices = model.vertices(identity).double().numpy()
        corners, weights = places
        self.points = (vertices[corners] * weights[..., None]).sum(1)
        self.landmarks = vertices[model.landmarks.numpy()]

    def error(self, model: MorphableModel, identity: Tensor) -> float:
        """Of an identity of a model, in mm."""
        vertices = model.vertices(identity).double().numpy()
        start = self.start(vertices[model.landmarks.numpy()])
        triangles = model.triangles.long().numpy()
        tip = self.landmarks[NOSE_TIP]
        return deng_rmse(self.points, tip, vertices, triangles, initial=start).rmse

    def start(self, landmarks: NDArray):
        """The alignment of other landmarks ``(68, 3)`` to these that ICP begins at."""
        stable = list(STABLE_LANDMARKS)
        return align_points(landmarks[stable], self.landmarks[stable], scale=True)

    def best(self, model: MorphableModel, limit: float) -> Tensor:
        """The identity of a model that comes nearest, of coefficients up to a limit."""
        near = np.linalg.norm(self.points - self.landmarks[NOSE_TIP], axis=1) <= RADIUS
        start = self.start(model.mean[model.landmarks].double().numpy())
        return fit_surface(model, self.points[near], limit=limit, initial=start).identity


def _rendered(
    model: MorphableModel, people: int, frames: int, image_size: int, seed: int
) -> Iterator[tuple[_Truth, Tensor]]:
    """People: the true shape and pictures ``(F, 3, S, S)``."""
    from pgnface.data.synthetic import SyntheticSource

    source = SyntheticSource(model, image_size, frames=frames, seed=seed)
    places = _even_places(source.model)
    for number in range(people):
        batch = source.batch(number, frames)
        yield _Truth(source.model, batch.identity[0], places), batch.images


def _even_places(model: MorphableModel) -> tuple[NDArray, NDArray]:
    """Places on a model's surface, evenly spread on its mean face: vertex numbers ``(N, 3)`` and
    barycentric coordinates.
    """
    import trimesh

    mesh = trimesh.Trimesh(model.mean.numpy(), model.triangles.long().numpy(), process=False)
    points, numbers = trimesh.sample.sample_surface(mesh, _POINTS, seed=0)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[numbers], points)
    return mesh.faces[numbers], weights


def _errors(
    network: PoseGuidanceNetwork,
    truth: _Truth,
    prediction: Prediction,
    counts: list[int],
    methods: Sequence[str],
) -> Iterator[tuple[str, float]]:
    """A person's errors, by rows of the table."""
    model = model_on_cpu(network.model)
    yield _MEAN, truth.error(model, torch.zeros(model.identity_count))
    total = len(prediction.identity)
    for method in methods:
        # The methods differ from two frames on.
        for count in counts if method == methods[0] else counts[1:]:
            groups = split_prediction(prediction, [count] * (total // count) + [total % count])
            found = [
                truth.error(model, one_identity(network, group, method))
                for group in groups[: min(total // count, _GROUPS)]
            ]
            yield _row(method, count), float(np.mean(found))
    for name, limit in _BEST.items():
        yield name, truth.error(model, truth.best(model, limit))


def _row(method: str, count: int) -> str:
    return _SINGLE if count == 1 else f"{count} frames, {method}"


def _tables(errors: dict[str, NDArray]) -> tuple[Table, ...]:
    columns = ("mean", "low", "high", "people")
    gains = {f"{_SINGLE}, over the mean face": errors[_MEAN] - errors[_SINGLE]} | {
        f"{name}, over {_SINGLE}": errors[_SINGLE] - values
        for name, values in errors.items()
        if name not in (_MEAN, _SINGLE, *_BEST)
    }
    tables = {
        f"Point-to-plane error within {RADIUS:g} mm of the nose tip, mm (95 % interval)": errors,
        "Gain, mm, person by person (95 % interval)": gains,
    }
    return tuple(
        Table(title, columns, {name: _interval(v) for name, v in rows.items()}, digits=3)
        for title, rows in tables.items()
    )


def _interval(values: NDArray) -> tuple[float, float, float, int]:
    """Mean and its 95 % interval by Student's distribution; people are what is drawn."""
    from scipy.stats import t

    count, mean = len(values), float(values.mean())
    if count < 2:
        return mean, float("nan"), float("nan"), count
    half = float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half, count
