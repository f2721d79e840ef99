"""Cases for what the ops are composed to: rendering, self-supervision, training, inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from pgnface import ops

from . import cases
from .case import Case, Floor
from .inputs import Scene

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork


def render(scene: Scene, edges: bool = False) -> Case:
    """Rasterize and interpolate three colours, with ``edges`` the gradients of silhouettes too.

    The floor is the sum of the ops'. Gradients go to vertices and colours.
    """

    def run(vertices: Tensor, colors: Tensor) -> Tensor:
        fragments = scene.draw(vertices)
        image = ops.interpolate(colors, scene.triangles, fragments)
        if edges:
            image = ops.edge_gradient(image, vertices, scene.triangles, fragments)
        return image

    parts = [cases.rasterize, cases.interpolate] + [cases.edge_gradient] * edges
    return Case(
        "render with edges" if edges else "render",
        run,
        (scene.leaf(), scene.random(scene.count, 3).requires_grad_()),
        *_sums([part(scene) for part in parts]),
        scene=scene,
    )


def multiframe_loss(
    mesh: str = "bfm",
    subjects: int = 8,
    frames: int = 2,
    size: int = 224,
    *,
    device: str = "cpu",
    model: str = "default",
) -> Case:
    """The photometric loss between frames of a person: colours swapped, rendered and compared.

    The floor is the sum of the ops' (those after the swap run on ``F (F - 1)`` pictures a person),
    and of the colours that the robust term reads. Gradients go to the vertices, but not by way of
    their normals.
    """
    from pgnface.losses import multiframe_photometric_loss

    scene = Scene(mesh, subjects * frames, size, device, model)
    swapped = Scene(mesh, subjects * frames * (frames - 1), size, device, model)
    adjacency = ops.build_adjacency(scene.triangles, scene.count)
    images = _smooth_images(scene.batch, size, device).unflatten(0, (subjects, frames))
    vertices = scene.vertices.unflatten(0, (subjects, frames)).requires_grad_()

    def run(images: Tensor, vertices: Tensor) -> Tensor:
        terms = multiframe_photometric_loss(images, vertices, adjacency)
        return terms.robust + terms.census

    parts = [
        cases.rasterize(scene),
        replace(cases.vertex_normals(scene), backward=None),
        cases.vertex_visibility(scene),
        cases.sample_colors(scene, to_image=False),
        cases.interpolate(swapped, 4),
        cases.edge_gradient(swapped),
        cases.census_distance(swapped),
    ]
    forward, backward = _sums(parts)
    pictures = Floor(2 * 12 * swapped.pixels)
    return Case(
        "multi-frame loss", run, (images, vertices), forward + pictures, backward + pictures
    )


class TrainingStep(NamedTuple):
    """A step of self-supervised training, as calls to be timed.

    Attributes:
        whole: network, objective, gradients, clipping, AdamW and the average of the weights.
        outside_network: of that, what is neither encoder nor head nor their update: landmarks,
            pose, geometry, losses, and the gradients of all of it.
    """

    whole: Callable[[], None]
    outside_network: Callable[[], None]


def training_step(
    encoder: str = "resnet50",
    subjects: int = 8,
    frames: int = 2,
    size: int = 224,
    *,
    device: str = "cpu",
    model: str = "default",
) -> TrainingStep:
    """A step on unlabelled frames, with all the terms that need no label, for every subject."""
    from pgnface.data.batch import FaceBatch
    from pgnface.networks import split_prediction
    from pgnface.training import (
        ExponentialAverage,
        LossWeights,
        MultiframeConfig,
        Objective,
        TrainConfig,
    )
    from pgnface.training.optimizer import build_optimizer

    network = _network(encoder, size, model, device).train()
    images = _smooth_images(subjects * frames, size, device)
    batch = FaceBatch.create(
        images.unflatten(0, (subjects, frames)),
        identity_count=network.model.identity_count,
        expression_count=network.model.expression_count,
    ).to(device)
    weights = LossWeights(photometric=1.0, census=1.0, consistency=0.01, equivariance=0.1)
    objective = Objective(network, weights, MultiframeConfig(subjects=subjects))
    optimizer = build_optimizer(network, TrainConfig())
    average = ExponentialAverage(network, 0.999)
    heads = {name: value for name, value in network.named_children() if name.endswith("_head")}

    def loss() -> Tensor:
        predictions = split_prediction(network(images), [len(images)])
        return objective([batch], predictions)["total"]

    def whole() -> None:
        loss().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update(network)

    with torch.no_grad():
        features = network.encoder(images)
        code = network.code_head(features)
        results = {name: head(code) for name, head in heads.items() if name != "code_head"}
        results["identity_regression"] = network.identity_regression(features)
    constants = {name: _Constant(result) for name, result in results.items()}
    constants |= {"encoder": _Constant(code), "code_head": _Constant(code)}
    layers = heads | {n: getattr(network, n) for n in ("encoder", "identity_regression")}

    def outside_network() -> None:
        """The step with layers that return constants which take gradients."""
        for name, constant in constants.items():
            setattr(network, name, constant)
        try:
            loss().backward()
        finally:
            for name, layer in layers.items():
                setattr(network, name, layer)

    return TrainingStep(whole, outside_network)


def inference(
    encoder: str = "small",
    batch: int = 16,
    size: int = 128,
    *,
    device: str = "cpu",
    model: str = "default",
) -> Case:
    """From face crops to posed vertices, without gradients. Its floor is not counted."""
    network = _network(encoder, size, model, device).for_inference()
    return Case("inference", Inference(network), (_smooth_images(batch, size, device),), Floor())


def two_looks(
    encoder: str = "small",
    batch: int = 16,
    size: int = 128,
    *,
    device: str = "cpu",
    model: str = "default",
) -> Case:
    """From photos and boxes to posed vertices as :func:`pgnface.reconstruct` looks: twice, with the
    mirror image. Its floor is not counted.
    """
    from pgnface.data.cropping import SquareBox
    from pgnface.networks.inference import predict_faces

    side = 450
    network = _network(encoder, size, model, device).for_inference()
    photos = list((_smooth_images(batch, side, "cpu") * 255).byte().movedim(1, -1).numpy())

    def run(boxes: Tensor) -> Tensor:
        squares = [SquareBox(*box) for box in boxes.tolist()]
        return network.vertices(predict_faces(network, photos, squares, passes=2, mirror=True))

    boxes = torch.tensor([[side / 2, side / 2, side / 2]]).repeat(batch, 1)
    return Case("two looks", run, (boxes,), Floor())


@dataclass(frozen=True)
class Inference:
    """From face crops ``(N, 3, S, S)`` to posed vertices, and all that is found on the way.

    Attributes:
        network: in evaluation mode.
    """

    network: PoseGuidanceNetwork

    def __call__(self, images: Tensor) -> Tensor:
        return self.network.vertices(self.network(images))


class _Constant(nn.Module):
    """A layer that returns the same tensors whatever comes; they take gradients."""

    def __init__(self, result: Tensor | tuple) -> None:
        super().__init__()
        parts = [result] if isinstance(result, Tensor) else list(result)
        parts = [part.detach().clone().requires_grad_() for part in parts]
        self.result = parts[0] if isinstance(result, Tensor) else _like(result, parts)

    def forward(self, *_: Tensor) -> Tensor | tuple:
        return self.result


def _like(value: tuple, parts: list[Tensor]) -> tuple:
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def _network(encoder: str, size: int, model: str, device: str) -> PoseGuidanceNetwork:
    from pgnface.morphable import load_model
    from pgnface.networks import NetworkConfig, PoseGuidanceNetwork

    torch.manual_seed(0)
    config = NetworkConfig(encoder=encoder, image_size=size)
    return PoseGuidanceNetwork(load_model(model), config).to(device)


def _smooth_images(count: int, size: int, device: str) -> Tensor:
    """Pictures ``(N, 3, S, S)`` that vary slowly, as skin does."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1).to(device)


def _sums(parts: list[Case]) -> tuple[Floor, Floor]:
    forward, backward = Floor(), Floor()
    for part in parts:
        forward, backward = forward + part.forward, backward + (part.backward or Floor())
    return forward, backward
