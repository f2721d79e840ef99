"""What a training run is made of, as dataclasses that a YAML file or the command line fills.

Nothing here imports torch, so that ``pgnface train --help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml

from pgnface.data.config import SourceConfig
from pgnface.networks.config import NetworkConfig

from .structure import from_plain, to_plain


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term of the objective; a term of weight 0 is not computed."""

    landmarks: float = 1.0
    """Landmarks of the position map against the labels."""
    posed_landmarks: float = 1.0
    """Landmarks of the posed face model against the labels."""
    position_map: float = 1.0
    """Position map against the true surface, where it is known."""
    identity: float = 0.005
    """Identity coefficients, where they are known."""
    expression: float = 0.02
    """Expression coefficients, where they are known."""
    shape: float = 0.1
    """Millimetres between the shapes that predicted and known coefficients make."""
    agreement: float = 0.2
    """Landmarks of the posed face model against those of the position map."""
    map_agreement: float = 0.1
    """All of the posed face model against the position map."""
    rotation: float = 0.0
    """Head rotation, where it is known in the face model's frame; for ``pose: regressed``."""
    photometric: float = 0.0
    """Frames of one person rendered with each other's colours: robust difference."""
    census: float = 0.0
    """The same: difference of census transforms."""
    consistency: float = 0.0
    """Variance in mm^2 of the neutral shape over the frames of one person. Keep it small against
    ``shape``: a shape that is the same for everyone has no variance."""
    equivariance: float = 0.0
    """Landmarks of several crops of one photo, mapped back to it."""
    identity_prior: float = 0.001
    """Squared identity coefficients, where they are not known."""
    expression_prior: float = 0.001
    """Squared expression coefficients, where they are not known."""
    offset_prior: float = 0.0001
    """Squared millimetres of the landmark offsets."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}")


@dataclass(frozen=True)
class MultiframeConfig:
    """How often, and on how much, the costly multi-frame photometric terms are computed."""

    every: int = 1
    """Every how many steps."""
    start: int = 0
    """First step; a sensible pose is needed before pixels can teach anything."""
    subjects: int = 2
    """At most this many people of each batch."""

    def __post_init__(self) -> None:
        _positive(self, "every", "subjects")


@dataclass(frozen=True)
class WeightedSource:
    """A source of faces and its share of every batch."""

    source: SourceConfig
    """What the source is; ``kind`` tells the sorts apart."""
    weight: float = 1.0
    """Share, relative to the other sources."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight must be positive, got {self.weight}")


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    data: tuple[WeightedSource, ...] = ()
    """Sources mixed in every batch."""
    crop_jitter: float = 1.0
    """Place and size of the faces in the crops vary this many times as much as by default. Wide
    jitter bears imprecise boxes."""
    upright: float = 0.5
    """Share of the crops in which a face of known landmarks is turned upright, as it is where the
    network sees it for the second time."""
    validation: tuple[SourceConfig, ...] = ()
    """Sources of held-out faces."""
    model: str = "default"
    """Face model: a built-in name or a file."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network's shape."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the objective's terms."""
    multiframe: MultiframeConfig = field(default_factory=MultiframeConfig)
    """Use of the multi-frame terms."""
    initial_weights: str | None = None
    """Start from these weights: a .safetensors file, a run's folder or "default"."""
    encoder_weights: str | None = None
    """Start the encoder alone from public weights (.safetensors, .pth), such as torchvision's
    ResNet-50 or FaceMesh's trunk as tools/convert_facemesh.py writes it."""

    identity_pictures: int = 0
    """At the end, solve for what more the encoder's features say of identity, on as many rendered
    pictures; 0 for not at all. 20,000 take ten minutes on a core."""

    output: Path = Path("runs/train")
    """Folder of checkpoints, logs and the final weights."""
    resume: str = "auto"
    """"auto" continues the run in the output folder if there is one; "none" refuses to; else a
    run's folder or one of its checkpoints."""
    seed: int = 0
    """Of the initial weights, the data and dropout."""

    steps: int = 20_000
    """Updates of the weights; the learning rate's schedule runs over them."""
    max_minutes: float | None = None
    """Stop after this much time, with a checkpoint from which the run can continue."""
    batch_size: int = 32
    """Images of one forward pass on one process."""
    accumulate: int = 1
    """Forward passes of one update."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    warmup_steps: int = 200
    """Steps until the peak."""
    weight_decay: float = 0.01
    """Of weight matrices; biases, norms and landmark offsets are left out."""
    offset_lr_factor: float = 30.0
    """Learning rate of the landmark offsets, which are in millimetres, relative to the rest."""
    grad_clip: float = 1.0
    """Largest gradient norm; 0 clips nothing."""
    ema_decay: float = 0.999
    """Of the averaged weights, the ones that are validated and exported."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision."""
    device: Literal["auto", "cpu"] = "auto"
    """"auto" takes the GPU where there is one."""
    workers: int = 0
    """Processes that prepare data; 0 prepares it in the loop's own process."""

    log_every: int = 20
    """Steps between entries of the log."""
    image_every: int = 500
    """Steps between pictures in TensorBoard; 0 for none."""
    tensorboard: bool = True
    """Write TensorBoard logs."""
    validate_every: int = 1000
    """Steps between validations; 0 validates at the end alone."""
    validation_images: int = 256
    """Images of each held-out source."""
    checkpoint_every: int = 500
    """Steps between checkpoints: what a crash can lose."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept."""

    def __post_init__(self) -> None:
        _positive(
            self, "steps", "batch_size", "accumulate", "lr", "log_every", "checkpoint_every",
            "keep_checkpoints", "validation_images", "offset_lr_factor",
        )  # fmt: skip
        for name in (
            "warmup_steps", "weight_decay", "grad_clip", "workers", "image_every",
            "validate_every", "seed", "crop_jitter", "identity_pictures",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.upright <= 1:
            raise ValueError(f"upright must lie in [0, 1], got {self.upright}")
        if self.identity_pictures == 1:
            raise ValueError("identity_pictures must be 0 or at least 2, got 1")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), got {self.ema_decay}")
        if self.initial_weights is not None and self.encoder_weights is not None:
            raise ValueError("initial_weights and encoder_weights exclude each other")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive, got {self.max_minutes}")


PRESETS = files(__package__) / "presets"


def preset_names() -> list[str]:
    """Configurations that the package ships."""
    return sorted(entry.name[:-5] for entry in PRESETS.iterdir() if entry.name.endswith(".yaml"))


def load_config(path_or_name: str | Path) -> TrainConfig:
    """Read a configuration.

    Args:
        path_or_name: a YAML file, or the name of a preset (:func:`preset_names`).

    Raises:
        FileNotFoundError: when there is no such file or preset.
        ValueError: for a file that is no YAML mapping, an unknown key or a wrong type; the message
            names the key.
    """
    path = Path(path_or_name)
    if str(path_or_name) in preset_names():
        path = PRESETS / f"{path_or_name}.yaml"
    elif not path.is_file():
        raise FileNotFoundError(
            f"configuration {path_or_name} is neither a file nor one of the presets "
            f"{', '.join(preset_names())}"
        )
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path_or_name} is not valid YAML: {error}") from error
    try:
        return from_plain(TrainConfig, value if value is not None else {})
    except ValueError as error:
        raise ValueError(f"{path_or_name}: {error}") from error


def save_config(config: TrainConfig, path: str | Path) -> None:
    """Write a configuration that :func:`load_config` reads back to an equal one."""
    text = yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def _positive(config: object, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(config, name)}")
