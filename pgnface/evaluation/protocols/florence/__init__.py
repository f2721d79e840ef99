"""MICC Florence 3D Faces, by the three protocols that papers use; see :mod:`.distances`."""

from .distances import deng_rmse, ganfit_distance, prnet_nme
from .evaluate import PROTOCOLS, evaluate_florence
from .views import PITCHES, YAWS, View, render_view

__all__ = [
    "PITCHES",
    "PROTOCOLS",
    "YAWS",
    "View",
    "deng_rmse",
    "evaluate_florence",
    "ganfit_distance",
    "prnet_nme",
    "render_view",
]
