"""Layers that several networks share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class BlazeBlock(nn.Module):
    """The block of BlazeFace (Bazarevsky et al. 2019, arXiv 1907.05047, figure 1), 3x3 kernels.

    A depthwise and a pointwise convolution around a shortcut without weights. The shortcut of a
    strided block is the maximum of 2 x 2 cells, and zeros fill the channels that it lacks. A
    strided convolution is padded on the right and below alone, as TensorFlow does for even sizes:
    only so do weights from there see the pixels that they were trained on.

    Args:
        channels_in, channels: widths before and after, the latter at least the former.
        stride: 1 or 2.
        activation: applied to the sum; ``nn.PReLU(channels)`` by default.
    """

    def __init__(
        self, channels_in: int, channels: int, stride: int = 1, activation: nn.Module | None = None
    ):
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(
            *(channels_in, channels_in, 3, stride, stride % 2), groups=channels_in
        )
        self.pointwise = nn.Conv2d(channels_in, channels, 1)
        self.activation = nn.PReLU(channels) if activation is None else activation
        self.added_channels = channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C_in, H, W)`` to ``(N, C, H / stride, W / stride)``."""
        shortcut = x
        if self.stride > 1:
            shortcut = F.max_pool2d(x, self.stride)
            x = F.pad(x, (0, 1, 0, 1))
        if self.added_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.added_channels))
        return self.activation(self.pointwise(self.depthwise(x)) + shortcut)


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation that does not depend on the batch (Wu and He, ECCV 2018)."""
    return nn.GroupNorm(8, channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity (He et al. 2016).

    The shortcut of a strided block averages before it projects, so that it uses every pixel.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = group_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = group_norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                group_norm(channels),
            )
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))
