"""3D morphable face models: the model, its file formats, the built-in one and UV maps."""

from .formats.npz import save_model
from .load import load_model
from .model import MorphableModel
from .skinning import SkinnedModel
from .uv import UVAtlas

__all__ = ["MorphableModel", "SkinnedModel", "UVAtlas", "load_model", "save_model"]
