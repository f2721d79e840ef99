"""Where a benchmark's faces are cropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import Detector, build_detector

BOXES = ("landmarks", "detector", "jittered")

# The publishers cut the photos around their faces: mean centre and side of the true squares of the
# training split, in photo sides. Their standard deviations are 0.06, 0.02 and 0.09.
_TYPICAL = (0.505, 0.612, 0.589)


class BoxRule:
    """The square in which a network looks at an annotated face.

    Args:
        kind: ``"landmarks"``, the true square; ``"detector"``, that of the built-in detector which
            lies nearest to it, or the data set's :func:`typical_square` where none is near;
            ``"jittered"``, the true one with its centre moved by up to a tenth of its side in x and
            in y and its side changed by up to a tenth, all uniform.
        seed: of the jitter.

    Attributes:
        found: of each face so far, whether its square is its own and not the typical one.

    Raises:
        UserError: for an unknown kind.
    """

    JITTER = 0.1

    def __init__(self, kind: str, seed: int = 0) -> None:
        if kind not in BOXES:
            raise UserError(f"boxes must be one of {', '.join(BOXES)}, got {kind!r}")
        self._kind = kind
        self._detect: Detector | None = build_detector("auto") if kind == "detector" else None
        self._rng = np.random.default_rng(seed)
        self.found: list[bool] = []

    def __call__(self, image: NDArray[np.uint8], true: SquareBox) -> SquareBox:
        """The square of the face whose true one is ``true``."""
        box = self._box(image, true)
        self.found.append(box is not None)
        return typical_square(image) if box is None else box

    def _box(self, image: NDArray[np.uint8], true: SquareBox) -> SquareBox | None:
        if self._kind == "jittered":
            x, y, side = self._rng.uniform(-self.JITTER, self.JITTER, 3)
            return SquareBox(true.x + x * true.side, true.y + y * true.side, true.side * (1 + side))
        return true if self._detect is None else _nearest(self._detect(image), true)


def typical_square(image: NDArray[np.uint8]) -> SquareBox:
    """Where a photo of the data set most likely has its face."""
    height, width = image.shape[:2]
    x, y, side = _TYPICAL
    return SquareBox(x * width, y * height, side * max(height, width))


def _nearest(found: Sequence[SquareBox], true: SquareBox) -> SquareBox | None:
    """The detection that belongs to the annotated face."""
    near = [box for box in found if max(abs(box.x - true.x), abs(box.y - true.y)) < true.side / 2]
    return min(near, key=lambda box: (box.x - true.x) ** 2 + (box.y - true.y) ** 2, default=None)
