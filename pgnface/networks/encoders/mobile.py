"""A light encoder of depthwise blocks, whose public weights know faces already."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import BlazeBlock, ResidualBlock
from .features import Features

_WIDTHS = (16, 32, 64, 128, 128)
_REPEATS = 2
_DEEP_WIDTHS = (128, 256)


class MobileEncoder(nn.Module):
    """The trunk of FaceMesh (Kartynnik et al. 2019, arXiv 1907.06724), built of BlazeFace's blocks.

    Without normalisation layers: they are folded into the public weights, which
    ``tools/convert_facemesh.py`` brings into this form.

    Args:
        deep: beside the last stage, residual blocks of plain convolutions see the last but one. The
            trunk alone is too small to learn all that thousands of labelled photos teach; where the
            maps are small, plain convolutions cost little.

    Attributes:
        channels: widths of the four maps.
        fresh: prefix of the parameters that public weights do not have.
    """

    fresh = "deep."

    def __init__(self, deep: bool = False):
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
        self.deep = None
        self.channels = _WIDTHS[1:]
        if deep:
            before, (width, deepest) = _WIDTHS[-2], _DEEP_WIDTHS
            self.deep = nn.Sequential(
                ResidualBlock(before, width, 1),
                ResidualBlock(width, width, 1),
                ResidualBlock(width, deepest, 2),
                ResidualBlock(deepest, deepest, 1),
            )
            self.channels = (*_WIDTHS[1:-1], _WIDTHS[-1] + deepest)

    def forward(self, image: Tensor) -> Features:
        """Features of normalised images ``(N, 3, H, W)``, H and W multiples of 32."""
        x = self.activation(self.stem(F.pad(image, (0, 1, 0, 1))))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        if self.deep is not None:
            x = maps[-1] = torch.cat((x, self.deep(maps[-2])), 1)
        return Features(tuple(maps[1:]), x.mean((2, 3)))
