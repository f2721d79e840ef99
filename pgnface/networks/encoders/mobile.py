"""A light encoder of depthwise blocks, whose public weights know faces already."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .features import Features

_WIDTHS = (16, 32, 64, 128, 128)
_REPEATS = 2


class _Block(nn.Module):
    """A depthwise 3x3 and a pointwise convolution around a shortcut without weights.

    The shortcut of a strided block is the maximum of 2 x 2 cells, and zeros fill the channels that
    it lacks. A strided convolution is padded on the right and below alone, as TensorFlow does for
    even sizes: only so do weights from there see the pixels that they were trained on.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(
            *(channels_in, channels_in, 3, stride, stride % 2), groups=channels_in
        )
        self.pointwise = nn.Conv2d(channels_in, channels, 1)
        self.activation = nn.PReLU(channels)
        self.added_channels = channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.stride > 1:
            shortcut = F.max_pool2d(x, self.stride)
            x = F.pad(x, (0, 1, 0, 1))
        if self.added_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.added_channels))
        return self.activation(self.pointwise(self.depthwise(x)) + shortcut)


class MobileEncoder(nn.Module):
    """The trunk of FaceMesh (Kartynnik et al. 2019, arXiv 1907.06724), built of BlazeFace's blocks.

    Without normalisation layers: they are folded into the public weights, which
    ``tools/convert_facemesh.py`` brings into this form.

    Attributes:
        channels: widths of the four maps.
    """

    channels = _WIDTHS[1:]

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 3, 2)
        self.activation = nn.PReLU(_WIDTHS[0])
        self.stages = nn.ModuleList()
        channels_in = _WIDTHS[0]
        for index, width in enumerate(_WIDTHS):
            blocks = [_Block(channels_in, width, 2)] if index else []
            blocks += [_Block(width, width, 1) for _ in range(_REPEATS)]
            self.stages.append(nn.Sequential(*blocks))
            channels_in = width
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)
                if name.endswith("pointwise"):  # each block starts as its shortcut
                    nn.init.zeros_(module.weight)
                else:
                    nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, image: Tensor) -> Features:
        """Features of normalised images ``(N, 3, H, W)``, H and W multiples of 32."""
        x = self.activation(self.stem(F.pad(image, (0, 1, 0, 1))))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return Features(tuple(maps[1:]), x.mean((2, 3)))
