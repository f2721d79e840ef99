"""A small encoder that trains on one CPU core."""

from __future__ import annotations

from torch import Tensor, nn

from .features import Features

_WIDTHS = (32, 64, 128, 256)
_DEPTHS = (2, 2, 2, 1)
_STEM_WIDTH = 24


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


class _Block(nn.Module):
    """Two 3x3 convolutions around an identity (He et al. 2016).

    The shortcut of a strided block averages before it projects, so that it uses every pixel.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = _norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = _norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                _norm(channels),
            )
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


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
            _norm(_STEM_WIDTH),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.ModuleList()
        channels_in = _STEM_WIDTH
        for width, depth in zip(_WIDTHS, _DEPTHS, strict=True):
            blocks = [_Block(channels_in, width, 2)]
            blocks += [_Block(width, width, 1) for _ in range(depth - 1)]
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
