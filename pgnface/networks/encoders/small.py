"""A small encoder that trains on one CPU core."""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks import ResidualBlock, group_norm
from .features import Features

_WIDTHS = (32, 64, 128, 256)
_DEPTHS = (2, 2, 2, 1)
_STEM_WIDTH = 24


class SmallEncoder(nn.Module):
    """A narrow residual network of plain 3x3 convolutions.

    On CPUs dense 3x3 convolutions cost less time per accuracy than depthwise ones, which are bound
    by memory. Group normalisation (Wu and He 2018) rather than batch normalisation, because CPU
    batches are small and mix rendered with real faces, whose statistics differ.

    Attributes:
        channels: widths of the four maps.
    """

    channels = _WIDTHS

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, _STEM_WIDTH, 3, 2, 1, bias=False),
            group_norm(_STEM_WIDTH),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.ModuleList()
        channels_in = _STEM_WIDTH
        for width, depth in zip(_WIDTHS, _DEPTHS, strict=True):
            blocks = [ResidualBlock(channels_in, width, 2)]
            blocks += [ResidualBlock(width, width, 1) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            channels_in = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Features:
        """Features of normalised images ``(N, 3, H, W)``, H and W multiples of 32."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return Features(tuple(maps), x.mean((2, 3)))
