"""A light encoder of depthwise blocks, whose public weights know faces already."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import BlazeBlock
from .features import Features

_WIDTHS = (16, 32, 64, 128, 128)
_REPEATS = 2


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
            blocks = [BlazeBlock(channels_in, width, 2)] if index else []
            blocks += [BlazeBlock(width, width, 1) for _ in range(_REPEATS)]
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
