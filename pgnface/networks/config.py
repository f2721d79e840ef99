"""What a network is made of. Imports no torch, so that the command line can show it quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

EncoderName = Literal["small", "mobile", "mobile_deep", "resnet18", "resnet50"]
PoseMode = Literal["solved", "regressed"]

ENCODER_STRIDE = 32
"""Pixels of the input per cell of every encoder's deepest map."""


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of a :class:`~pgnface.networks.PoseGuidanceNetwork`.

    Attributes:
        encoder: "small" (1.7 million parameters, trains from nothing on CPUs), "mobile" (0.1
            million, the trunk of FaceMesh), "mobile_deep" (3 million, the same with plain
            convolutions behind it), "resnet18" or "resnet50" (He et al. 2016, torchvision's
            parameter names).
        image_size: side of the square input in pixels, a multiple of 32.
        map_size: side of the UV position map, 8 times a power of two.
        code_size: width of the vector that all heads read.
        pose: "solved" in closed form from the predicted landmarks and the predicted shape (the
            method), or "regressed" by a fully connected layer (the baseline).
        landmark_confidence: whether the network weights its landmarks when it solves the pose;
            without it all weigh the same.
    """

    encoder: EncoderName = "small"
    image_size: int = 128
    map_size: int = 32
    code_size: int = 256
    pose: PoseMode = "solved"
    landmark_confidence: bool = True

    def __post_init__(self):
        for name, choices in (("encoder", EncoderName), ("pose", PoseMode)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"NetworkConfig: {name} must be one of {get_args(choices)}, "
                    f"got {getattr(self, name)!r}"
                )
        if self.image_size < ENCODER_STRIDE or self.image_size % ENCODER_STRIDE:
            raise ValueError(
                f"NetworkConfig: image_size must be a positive multiple of {ENCODER_STRIDE}, "
                f"got {self.image_size}"
            )
        doublings, rest = divmod(self.map_size, 8)
        if rest or doublings < 1 or doublings & (doublings - 1):
            raise ValueError(
                f"NetworkConfig: map_size must be 8 times a power of two, got {self.map_size}"
            )
        if self.code_size < 1:
            raise ValueError(f"NetworkConfig: code_size must be positive, got {self.code_size}")
