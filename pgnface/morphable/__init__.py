"""3D morphable face models: the model, its file formats, the built-in one and UV maps."""

from .load import load_model
from .model import MorphableModel
from .npz import save_model
from .uv import UVAtlas

__all__ = ["MorphableModel", "UVAtlas", "load_model", "save_model"]
