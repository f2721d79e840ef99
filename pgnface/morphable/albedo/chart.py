"""Where things are on a face: metric coordinates and distances to features for every texel.

Texture layouts stretch differently from model to model, so nothing is painted in UV itself: each
texel gets its place on the mean face, unrolled around the head's vertical axis, in millimetres.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import MorphableModel
from ..uv import UVAtlas

_REACH = 160.0  # mm from the nose that the noise fields cover


class FaceChart:
    """Static maps of a face model's texture, made once and shared by all the faces painted on it.

    The plane of the maps has its origin between the eyes, x to the subject's left along the
    surface, y up, in millimetres. Maps are ``(size, size)``; texels outside the mesh's chart repeat
    the nearest one inside.

    Args:
        model: with 68 landmarks.
        size: of the textures, in pixels.
    """

    def __init__(self, model: MorphableModel, size: int):
        self.model = model
        self.size = size
        atlas = UVAtlas(model, size)
        self.mask = atlas.mask
        position = atlas.bake(model.mean).permute(1, 2, 0)
        points = model.mean[model.landmarks]
        self._axis_depth = float(points[[0, 16], 2].mean())
        self._radius = float(points[[0, 16], 0].abs().mean())
        self._origin = torch.zeros_like(points[0, :2])
        self._origin = self.unroll(points[36:48]).mean(0)
        #: ``(size, size, 2)`` and ``(68, 2)`` in the plane.
        self.plane, self.landmarks = self.unroll(position), self.unroll(points)
        #: ``(size, size, 3)`` model-space position of each texel on the mean face.
        self.position = position
        one_hot = F.one_hot(model.regions.long(), len(model.region_names)).float()
        #: Share of each region of the model in each texel.
        self.regions = dict(zip(model.region_names, atlas.bake(one_hot), strict=True))

    def unroll(self, points: Tensor) -> Tensor:
        """Model-space points ``(..., 3)`` in the plane ``(..., 2)``."""
        angle = torch.atan2(points[..., 0], points[..., 2] - self._axis_depth)
        return torch.stack((self._radius * angle, points[..., 1]), dim=-1) - self._origin

    def noise(self, rng: np.random.Generator, wavelength: float, channels: int = 1) -> Tensor:
        """Smooth noise ``(size, size)`` (``(C, size, size)`` with channels), about normal.

        Args:
            rng: random numbers.
            wavelength: mm from one lattice point to the next.
            channels: independent fields.
        """
        return self.noise_at(rng, self.plane / wavelength, wavelength, channels)

    def noise_at(
        self, rng: np.random.Generator, places: Tensor, wavelength: float, channels: int = 1
    ) -> Tensor:
        """Noise of wavelength 1 at given places ``(size, size, 2)``, lying within the reach."""
        cells = 2 * math.ceil(_REACH / wavelength) + 2
        lattice = rng.standard_normal((1, channels, cells, cells), dtype=np.float32)
        grid = (places * (2 / cells)).clamp(-1, 1)[None]
        field = F.grid_sample(
            torch.from_numpy(lattice).to(places.device), grid, mode="bilinear", align_corners=False
        )[0]
        return 1.5 * (field[0] if channels == 1 else field)

    def spot(self, center: Tensor, width: float, height: float | None = None) -> Tensor:
        """A Gaussian spot ``(size, size)`` at a point of the plane; standard deviations in mm."""
        offset = (self.plane - center) / self.plane.new_tensor((width, height or width))
        return torch.exp(-0.5 * offset.square().sum(-1))

    def distance_to_line(self, line: Tensor) -> Tensor:
        """Distance in mm ``(size, size)`` to an open polyline ``(K, 2)``."""
        return _segment_distances(self.plane, line[:-1], line[1:]).amin(0)

    def distance_to_area(self, outline: Tensor) -> Tensor:
        """Distance in mm ``(size, size)`` to a closed polygon ``(K, 2)``, negative inside."""
        ends = outline.roll(-1, 0)
        distance = _segment_distances(self.plane, outline, ends).amin(0)
        x, y = self.plane[..., 0], self.plane[..., 1]
        inside = torch.zeros_like(x, dtype=torch.bool)
        for a, b in zip(outline, ends, strict=True):
            crosses = (a[1] > y) != (b[1] > y)
            inside ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
        return torch.where(inside, -distance, distance)

    @cached_property
    def lips(self) -> Tensor:
        """Distance to the outline of the lips, negative on them."""
        return self.distance_to_area(smooth(self.landmarks[48:60], closed=True))

    @cached_property
    def lip_line(self) -> Tensor:
        """Distance to the line where the lips meet."""
        inner = self.landmarks
        upper, lower = inner[[60, 61, 62, 63, 64]], inner[[60, 67, 66, 65, 64]]
        return self.distance_to_line(smooth((upper + lower) / 2))

    @cached_property
    def eyes(self) -> Tensor:
        """Distance to the nearer eye opening, negative in it."""
        right, left = (
            self.distance_to_area(smooth(self.landmarks[i : i + 6], closed=True)) for i in (36, 42)
        )
        return torch.minimum(right, left)

    @cached_property
    def upper_lids(self) -> Tensor:
        """Distance to the nearer upper lid line."""
        right, left = (self.distance_to_line(smooth(self.landmarks[i : i + 4])) for i in (36, 42))
        return torch.minimum(right, left)

    @cached_property
    def brows(self) -> tuple[Tensor, Tensor]:
        """For the nearer brow: place along it (0 at the nose, 1 at the temple) and height above it
        in mm."""
        right, left = self.landmarks[[21, 20, 19, 18, 17]], self.landmarks[22:27]
        along_right, above_right = self._along(smooth(right))
        along_left, above_left = self._along(smooth(left))
        nearer = self.plane[..., 0] < (right[0, 0] + left[0, 0]) / 2
        return (
            torch.where(nearer, along_right, along_left),
            torch.where(nearer, above_right, above_left),
        )

    @cached_property
    def brow_length(self) -> float:
        """Length of a brow in mm."""
        return float((self.landmarks[17] - self.landmarks[21]).norm())

    @cached_property
    def beard(self) -> Tensor:
        """Distance to the area where a full beard grows (jaw, chin, neck, round the mouth)."""
        p = self.landmarks
        outward, down = p.new_tensor((1.0, 0.0)), p.new_tensor((0.0, 1.0))
        right = [
            *(p[0] - 18 * outward, p[3] - 25 * outward, p[5] - 25 * outward - 25 * down),
            *(p[7] - 70 * down, p[9] - 70 * down),
        ]
        left = [p[11] + 25 * outward - 25 * down, p[13] + 25 * outward, p[16] + 18 * outward]
        cheek = [
            *(p[16] - 6 * outward, p[15] - 10 * outward, torch.lerp(p[14], p[54], 0.42) - 2 * down),
            *(torch.lerp(p[13], p[54], 0.8), p[54] + 7 * outward + 4 * down),
            *(p[35] + 3 * outward - 3 * down, p[33] - 3 * down, p[31] - 3 * outward - 3 * down),
            *(p[48] - 7 * outward + 4 * down, torch.lerp(p[3], p[48], 0.8)),
            *(torch.lerp(p[2], p[48], 0.42) - 2 * down, p[1] + 10 * outward, p[0] + 6 * outward),
        ]
        return self.distance_to_area(torch.stack(right + left + cheek))

    @cached_property
    def moustache(self) -> Tensor:
        """Distance to the area between nose and upper lip, down to the mouth's corners."""
        p = self.landmarks
        outward, down = p.new_tensor((1.0, 0.0)), p.new_tensor((0.0, 1.0))
        outline = [
            *(p[48] - 5 * outward - 4 * down, p[48] - 3 * outward + 3 * down),
            *(p[31] - 2 * down, p[33] - 3 * down, p[35] - 2 * down),
            *(p[54] + 3 * outward + 3 * down, p[54] + 5 * outward - 4 * down),
            *(p[54], p[53], p[52], p[51], p[50], p[49], p[48]),
        ]
        return self.distance_to_area(torch.stack(outline))

    @cached_property
    def folds(self) -> dict[str, Tensor]:
        """Distance to the lines where skin folds with age and expression."""
        p = self.landmarks
        outward, down = p.new_tensor((1.0, 0.0)), p.new_tensor((0.0, 1.0))

        def pair(right: list[Tensor], left: list[Tensor]) -> Tensor:
            lines = [self.distance_to_line(smooth(torch.stack(side))) for side in (right, left)]
            return torch.minimum(*lines)

        nasolabial = pair(
            [
                *(p[31] - 5 * outward + 5 * down, torch.lerp(p[31], p[48], 0.5) - 8 * outward),
                *(p[48] - 9 * outward + 2 * down, p[48] - 9 * outward - 8 * down),
            ],
            [
                *(p[35] + 5 * outward + 5 * down, torch.lerp(p[35], p[54], 0.5) + 8 * outward),
                *(p[54] + 9 * outward + 2 * down, p[54] + 9 * outward - 8 * down),
            ],
        )
        under_eyes = pair(
            [p[39] - 5 * down, (p[40] + p[41]) / 2 - 9 * down, p[36] - 7 * down],
            [p[42] - 5 * down, (p[46] + p[47]) / 2 - 9 * down, p[45] - 7 * down],
        )
        crow = [
            pair(
                [p[36] - (6 + 3 * k) * outward + 3 * k * down, p[36] - 20 * outward + 7 * k * down],
                [p[45] + (6 + 3 * k) * outward + 3 * k * down, p[45] + 20 * outward + 7 * k * down],
            )
            for k in (-1, 0, 1)
        ]
        brow_height, half = float(p[17:27, 1].max()), float(p[26, 0] - p[17, 0]) / 2
        x = torch.linspace(-0.75, 0.75, 9, device=p.device) * half
        rows = [
            self.distance_to_line(
                torch.stack((x, brow_height + up + bend * torch.cos(3 * x / half)), 1)
            )
            for up, bend in ((9, 1.5), (18, 2.0), (28, 1.5))
        ]
        return {
            "nasolabial": nasolabial,
            "under_eyes": under_eyes,
            "crow": torch.stack(crow).amin(0),
            "forehead": torch.stack(rows).amin(0),
        }

    def _along(self, line: Tensor) -> tuple[Tensor, Tensor]:
        """Fraction of the length, and signed height, at the nearest point of a polyline."""
        start, step = line[:-1], line[1:] - line[:-1]
        length = step.norm(dim=-1)
        before = torch.cumsum(length, 0) - length
        share = _shares(self.plane, start, step)
        offset = self.plane - start[:, None, None] - share[..., None] * step[:, None, None]
        distance, nearest = offset.norm(dim=-1).min(0)
        along = (before[:, None, None] + share * length[:, None, None]) / length.sum()
        height = offset[..., 1].gather(0, nearest[None])[0]
        return along.gather(0, nearest[None])[0], torch.where(height < 0, -distance, distance)


def smooth(points: Tensor, closed: bool = False, pieces: int = 4) -> Tensor:
    """A Catmull-Rom curve through points ``(K, 2)``, as a polyline."""
    if closed:
        p0, p1, p2, p3 = (points.roll(k, 0) for k in (1, 0, -1, -2))
    else:
        ends = torch.cat((2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]))
        p0, p1, p2, p3 = ends[:-3], ends[1:-2], ends[2:-1], ends[3:]
    t = torch.arange(pieces, device=points.device, dtype=points.dtype)[:, None, None] / pieces
    curve = p1 + 0.5 * t * (
        (p2 - p0) + t * (2 * p0 - 5 * p1 + 4 * p2 - p3) + t * t * (3 * (p1 - p2) + p3 - p0)
    )
    curve = curve.transpose(0, 1).flatten(0, 1)
    return curve if closed else torch.cat((curve, points[-1:]))


def step_between(values: Tensor, low: float, high: float) -> Tensor:
    """0 at ``low``, 1 at ``high`` (which may be the smaller one), smooth in between."""
    t = ((values - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _shares(plane: Tensor, start: Tensor, step: Tensor) -> Tensor:
    relative = plane - start[:, None, None]
    squared = step.square().sum(-1).clamp(min=1e-9)
    return ((relative * step[:, None, None]).sum(-1) / squared[:, None, None]).clamp(0, 1)


def _segment_distances(plane: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    step = ends - starts
    share = _shares(plane, starts, step)
    nearest = starts[:, None, None] + share[..., None] * step[:, None, None]
    return (plane - nearest).norm(dim=-1)
