"""Image encoders: an image to a pyramid of feature maps and one pooled vector."""

from __future__ import annotations

from torch import nn

from ..config import EncoderName
from .features import Features
from .mobile import MobileEncoder
from .resnet import ResNet
from .small import SmallEncoder
from .weights import load_encoder_weights

_BUILDERS = {
    "small": SmallEncoder,
    "mobile": MobileEncoder,
    "mobile_deep": lambda: MobileEncoder(deep=True),
    "resnet18": lambda: ResNet(18),
    "resnet50": lambda: ResNet(50),
}


def build_encoder(name: EncoderName) -> nn.Module:
    """An encoder with random weights.

    Its ``forward(image (N, 3, H, W)) -> Features``; ``channels`` are the widths of the maps, which
    lie at 1/4, 1/8, 1/16 and 1/32 of the input's size.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _BUILDERS:
        raise ValueError(f"build_encoder: name must be one of {tuple(_BUILDERS)}, got {name!r}")
    return _BUILDERS[name]()


__all__ = [
    "Features",
    "MobileEncoder",
    "ResNet",
    "SmallEncoder",
    "build_encoder",
    "load_encoder_weights",
]
