"""BlazeFace, a small network that finds faces and six points on each."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import BlazeBlock
from .encoders.weights import load_encoder_weights

KEYPOINTS = ("right_eye", "left_eye", "nose", "mouth", "right_ear", "left_ear")
"""What the keypoints are; right and left are the subject's."""

# Widths of the blocks; the first of a stage has stride 2.
_STEM = 24
_STAGES = ((24, 28), (32, 36, 42), (48, 56, 64, 72, 80, 88), (96, 96, 96, 96, 96))
_CELLS = (8, 16)
_ANCHORS = (2, 6)


class Candidates(NamedTuple):
    """What the network sees at each of its ``A`` anchors, in pixels of its input.

    Attributes:
        logits: ``(N, A)``; the sigmoid is the probability that a face is there.
        boxes: ``(N, A, 4)`` centre x, y, width and height.
        keypoints: ``(N, A, 6, 2)``, in the order of :data:`KEYPOINTS`.
    """

    logits: Tensor
    boxes: Tensor
    keypoints: Tensor


class BlazeFace(nn.Module):
    """BlazeFace for near faces (Bazarevsky et al. 2019, arXiv 1907.05047).

    As in MediaPipe's public short-range model, which ``tools/convert_blazeface.py`` brings into
    this form: sixteen blocks, two anchors in each cell of 8 pixels and six in each of 16, all of
    them at the cell's centre, told apart by training alone. A box is an offset from the anchor in
    pixels and a size. Trained on 128 x 128 pixels, it knows faces of about 20 to 100 pixels; being
    convolutional it takes larger images too.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, _STEM, 5, 2)
        blocks: list[list[nn.Module]] = [[], []]
        channels_in = _STEM
        for index, widths in enumerate(_STAGES):
            for place, width in enumerate(widths):
                stride = 2 if index and not place else 1
                # The last stage is the coarse one.
                part = blocks[index + 1 == len(_STAGES)]
                part.append(BlazeBlock(channels_in, width, stride, nn.ReLU()))
                channels_in = width
        self.trunks = nn.ModuleList([nn.Sequential(*part) for part in blocks])
        outputs = [(stage[-1], count) for stage, count in zip(_STAGES[2:], _ANCHORS, strict=True)]
        self.scores = nn.ModuleList([nn.Conv2d(width, count, 1) for width, count in outputs])
        self.points = nn.ModuleList([nn.Conv2d(width, count * 16, 1) for width, count in outputs])

    def forward(self, image: Tensor) -> Candidates:
        """Candidates in RGB images ``(N, 3, H, W)`` in [0, 1]; H and W multiples of 16.

        Raises:
            ValueError: for another shape.
        """
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 16 or image.shape[3] % 16:
            raise ValueError(
                "BlazeFace: image must be (N, 3, H, W) with H and W multiples of 16, "
                f"got {tuple(image.shape)}"
            )
        x = F.relu(self.stem(F.pad(2 * image - 1, (1, 2, 1, 2))))
        logits, points = [], []
        for trunk, score, point, cell in zip(
            self.trunks, self.scores, self.points, _CELLS, strict=True
        ):
            x = trunk(x)
            logits.append(score(x).permute(0, 2, 3, 1).flatten(1))
            values = point(x).permute(0, 2, 3, 1)
            centres = anchor_centres(*values.shape[1:3], cell, values.device)
            values = values.unflatten(3, (-1, 8, 2))  # centre, size, six keypoints
            shifts = values.new_tensor([1, 0, *[1] * 6])[:, None] * centres[:, :, None, None]
            points.append((values + shifts).flatten(1, 3))
        joined = torch.cat(points, 1)
        return Candidates(torch.cat(logits, 1), joined[:, :, :2].flatten(2), joined[:, :, 2:])


def anchor_centres(rows: int, columns: int, cell: int, device: torch.device) -> Tensor:
    """Centres ``(rows, columns, 2)`` (x, y) in pixels of a grid of square cells."""
    x = (torch.arange(columns, device=device) + 0.5) * cell
    y = (torch.arange(rows, device=device) + 0.5) * cell
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def load_blazeface(weights: str | Path | None = None) -> BlazeFace:
    """The network in evaluation mode on the CPU, with the shipped weights or those of a file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a file of something else.
    """
    network = BlazeFace()
    shipped = files("pgnface.networks") / "weights" / "blazeface.safetensors"
    load_encoder_weights(network, Path(str(shipped)) if weights is None else weights)
    return network.eval().requires_grad_(False)
