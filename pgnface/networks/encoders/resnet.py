"""Residual networks with torchvision's parameter names, so that public weights load."""

from __future__ import annotations

from torch import Tensor, nn

from .features import Features

_DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class _BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(nn.Module):
    # The stride sits on the 3x3 convolution ("v1.5"), as in torchvision's weights.
    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet-18 or ResNet-50 without the classifier (He et al. 2016).

    The state dict holds torchvision's names and shapes less ``fc.*``.

    Args:
        depth: 18 or 50.

    Attributes:
        channels: widths of the four maps.
    """

    def __init__(self, depth: int):
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"ResNet: depth must be one of {tuple(_DEPTHS)}, got {depth}")
        block = _BasicBlock if depth < 50 else _Bottleneck
        self.channels = tuple(64 * 2**k * block.expansion for k in range(4))
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels_in = 64
        for k, count in enumerate(_DEPTHS[depth]):
            blocks = []
            for index in range(count):
                stride = 2 if k > 0 and index == 0 else 1
                downsample = None
                if stride > 1 or channels_in != self.channels[k]:
                    downsample = nn.Sequential(
                        nn.Conv2d(channels_in, self.channels[k], 1, stride, bias=False),
                        nn.BatchNorm2d(self.channels[k]),
                    )
                blocks.append(block(channels_in, 64 * 2**k, stride, downsample))
                channels_in = self.channels[k]
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Features:
        """Features of images ``(N, 3, H, W)`` normalised with ImageNet's mean and deviation."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return Features(tuple(maps), x.mean((2, 3)))
