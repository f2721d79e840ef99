"""Procedural albedo: random faces painted into the texture of any 68-landmark model.

Nothing is learned or scanned: skin comes from its two pigments, features from distances to the
landmarks on the mean face (:class:`FaceChart`), variety from noise.
"""

from .appearance import Appearance, skin_color
from .chart import FaceChart
from .paint import paint, random_albedo

__all__ = ["Appearance", "FaceChart", "paint", "random_albedo", "skin_color"]
