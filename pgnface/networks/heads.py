"""What is read off an image's features: the code, the position map, coefficients and pose."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .encoders import Features

_GRID = 8
_CONFIDENCE_RANGE = 3.0


class CodeHead(nn.Module):
    """Features to the one vector ``(N, code_size)`` that all other heads read.

    The deepest map enters with its layout, not only as a mean, because pose and landmarks are
    places in the image.

    Args:
        channels: width of the deepest map.
        grid: its height and width.
        code_size: width of the code.
    """

    _REDUCED = 64

    def __init__(self, channels: int, grid: int, code_size: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, self._REDUCED, 1)
        self.linear = nn.Linear(self._REDUCED * grid**2 + channels, code_size)
        self.norm = nn.LayerNorm(code_size)

    def forward(self, features: Features) -> Tensor:
        layout = F.relu(self.reduce(features.maps[-1])).flatten(1)
        code = self.linear(torch.cat((layout, features.pooled), 1))
        return F.relu(self.norm(code))


class MapParameters(NamedTuple):
    """A position map relative to the mean face, in half image sides.

    Attributes:
        linear: ``(N, 3, 3)`` and
        shift: ``(N, 3)``, the affine map that places the mean face.
        displacement: ``(N, 3, h, w)`` added to it.
    """

    linear: Tensor
    shift: Tensor
    displacement: Tensor


class PositionMapHead(nn.Module):
    """Code to a UV position map (Feng et al., PRNet, ECCV 2018), as a moved and bent mean face.

    The map is ``linear @ mean_face(uv) + shift + displacement(uv)``. The affine part carries the
    pose, nearly all of a position's variance, so the convolutions are left with the shape. No skip
    connections from the encoder: pixels of the image and of the UV map do not correspond. Learned
    constants tell the convolutions where in UV they are. All outputs start at the mean face.

    Args:
        code_size: width of the code.
        map_size: side of the map, 8 times a power of two.
    """

    _WIDTH = 48
    _FINE_WIDTH = 32

    def __init__(self, code_size: int, map_size: int):
        super().__init__()
        self.affine = nn.Linear(code_size, 12)
        self.grid = nn.Linear(code_size, self._WIDTH * _GRID**2)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = self._WIDTH
        for _ in range((map_size // _GRID).bit_length() - 1):
            self.convs.append(nn.Conv2d(channels, self._FINE_WIDTH, 3, 1, 1, bias=False))
            self.norms.append(nn.GroupNorm(8, self._FINE_WIDTH))
            channels = self._FINE_WIDTH
        self.constant = nn.Parameter(torch.randn(channels, map_size, map_size))
        self.displacement = nn.Conv2d(channels, 3, 3, 1, 1)
        for layer in (self.affine, self.displacement):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, code: Tensor) -> MapParameters:
        x = F.relu(self.grid(code)).unflatten(1, (self._WIDTH, _GRID, _GRID))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.relu(norm(conv(x)))
        displacement = self.displacement(F.relu(x + self.constant))
        linear, shift = self.affine(code).split((9, 3), dim=1)
        linear = linear.float().unflatten(1, (3, 3)) + torch.eye(3, device=code.device)
        return MapParameters(linear, shift.float(), displacement.float())


class CoefficientHead(nn.Module):
    """Code to identity ``(N, I)`` and expression ``(N, E)`` coefficients, zero at the start."""

    def __init__(self, code_size: int, identity_count: int, expression_count: int):
        super().__init__()
        self.sizes = (identity_count, expression_count)
        self.linear = _zero_linear(code_size, sum(self.sizes))

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        identity, expression = self.linear(code).float().split(self.sizes, dim=1)
        return identity, expression


class IdentityRegression(nn.Module):
    """The deepest map to what is added to the identity ``(N, I)``, linearly.

    The code is learned for landmarks, which hardly tell faces apart. The map that it is made from
    holds more, and a linear function of it needs no gradients: ``pgnface.training.fit_identity``
    solves for it on rendered people. Zero until then.

    Args:
        channels, grid: of the deepest map; it is averaged to fewer cells where it is so large that
            the solution would take long.
        identity_count: number of coefficients.

    Attributes:
        weight: ``(I, features)`` and
        bias: ``(I,)`` of the function.
        signal: mean product of an identity predicted from a frame and the true one,
        shared: of those predicted from two frames of a person, and
        spread: mean square of the former less ``shared``: what differs between frames. All summed
            over the coefficients, as measured on rendered people; 1, 1 and 0 until then.
    """

    _MOST = 10_000

    def __init__(self, channels: int, grid: int, identity_count: int):
        super().__init__()
        self.grid = max(1, min(grid, int((self._MOST / channels) ** 0.5)))
        features = channels * self.grid**2
        for name, value in (
            ("weight", torch.zeros(identity_count, features)),
            ("bias", torch.zeros(identity_count)),
            ("signal", torch.ones(())),
            ("shared", torch.ones(())),
            ("spread", torch.zeros(())),
        ):
            self.register_buffer(name, value)

    def features(self, features: Features) -> Tensor:
        """What the function is of: ``(N, features)``."""
        deepest = features.maps[-1]
        if deepest.shape[-1] != self.grid:
            deepest = F.adaptive_avg_pool2d(deepest, self.grid)
        return deepest.float().flatten(1)

    def forward(self, features: Features) -> Tensor:
        return F.linear(self.features(features), self.weight, self.bias)


class ConfidenceHead(nn.Module):
    """Code to positive weights ``(N, K)`` of mean 1, all equal at the start.

    The logits are bounded, so that no landmark can take over the pose.
    """

    def __init__(self, code_size: int, count: int):
        super().__init__()
        self.linear = _zero_linear(code_size, count)

    def forward(self, code: Tensor) -> Tensor:
        logits = self.linear(code).float()
        logits = _CONFIDENCE_RANGE * torch.tanh(logits / _CONFIDENCE_RANGE)
        return logits.softmax(1) * logits.shape[1]


class PoseHead(nn.Module):
    """Code to a pose: the regression that networks without pose guidance use.

    Returns scale ``(N,)`` and translation ``(N, 3)`` relative to a frontal face that fills the
    image (a factor, and half image sides) and the rotation ``(N, 3, 3)``, which starts at identity.
    """

    def __init__(self, code_size: int):
        super().__init__()
        self.linear = _zero_linear(code_size, 10)
        with torch.no_grad():  # a frontal rotation in 6D
            self.linear.bias[[1, 5]] = 1.0

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_scale, sixd, translation = self.linear(code).float().split((1, 6, 3), dim=1)
        return log_scale[:, 0].exp(), rotation_from_6d(sixd), translation


def rotation_from_6d(values: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` of the continuous 6D representation ``(..., 6)``.

    Gram-Schmidt of the two 3-vectors, which become the first two rows (Zhou et al., On the
    Continuity of Rotation Representations, CVPR 2019). Parallel or zero vectors give no rotation,
    but finite values and gradients.
    """
    first = F.normalize(values[..., :3], dim=-1)
    second = values[..., 3:]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack((first, second, torch.linalg.cross(first, second)), -2)


def _zero_linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
