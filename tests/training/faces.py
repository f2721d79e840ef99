"""A small network and a source of small batches for the tests of training."""

from __future__ import annotations

from pathlib import Path

import torch

from pgnface.data.batch import FaceBatch
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.networks import NetworkConfig, PoseGuidanceNetwork
from pgnface.training import TrainConfig
from tests.models import tiny_model

SIZE = 32
NETWORK = NetworkConfig(image_size=SIZE, map_size=8, code_size=16)


def tiny_network(pose: str = "solved") -> PoseGuidanceNetwork:
    torch.manual_seed(0)
    config = NetworkConfig(image_size=SIZE, map_size=8, code_size=16, pose=pose)
    return PoseGuidanceNetwork(tiny_model(), config)


class LabelledSource:
    """Subjects of the tiny model with exact labels, and noise as their images.

    A pure function of the step, as every source must be.
    """

    def __init__(self, frames: int = 1, annotated: bool = False, labelled: bool = True):
        self.model = tiny_model()
        self.frames = frames
        self.annotated = annotated
        self.labelled = labelled
        self.skipped: dict[str, str] = {}

    def batch(self, step: int, size: int) -> FaceBatch:
        random = torch.Generator().manual_seed(step)
        subjects = max(1, size // self.frames)
        leading = (subjects, self.frames)

        def noise(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=random)

        image = torch.rand(*leading, 3, SIZE, SIZE, generator=random)
        model = self.model
        identity = noise(subjects, model.identity_count)
        expression = noise(*leading, model.expression_count).abs()
        pose = Pose(
            scale=torch.full(leading, 0.12),
            rotation=rotation_from_angles(20 * noise(*leading, 3)),
            translation=torch.tensor([SIZE / 2, SIZE / 2, 0.0]).expand(*leading, 3).clone(),
        )
        points = model.landmark_points(identity[:, None].expand(*leading, -1), expression)
        known = float(self.labelled)
        return FaceBatch.create(
            image,
            landmarks=known * apply_pose(pose, points),
            landmark_weights=torch.full((*leading, 68, 3), known),
            annotated=torch.full((subjects,), self.annotated),
            identity=identity,
            expression=expression,
            coefficient_weight=torch.full((subjects,), known * (not self.annotated)),
            pose=pose,
            pose_weight=torch.full(leading, known),
            names=[f"person {step}-{i}" for i in range(subjects)],
        )


class Mixed:
    """What a ``Mixture`` is to the trainer: a list of batches a step."""

    def __init__(self, *sources: LabelledSource):
        self.sources = sources
        self.skipped: dict[str, str] = {}

    def batch(self, step: int, size: int) -> list[FaceBatch]:
        return [source.batch(step, size // len(self.sources)) for source in self.sources]


def tiny_config(output: Path, **changes) -> TrainConfig:
    settings = {
        "output": output,
        "network": NETWORK,
        "steps": 6,
        "batch_size": 4,
        "warmup_steps": 2,
        "log_every": 2,
        "validate_every": 0,
        "validation_images": 4,
        "checkpoint_every": 3,
        "tensorboard": False,
        "device": "cpu",
        **changes,
    }
    return TrainConfig(**settings)
