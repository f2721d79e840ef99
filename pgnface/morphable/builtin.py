"""The face model that ships with the package, made by tools/build_default_model.py."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MODEL_PATH = Path(__file__).parent / "assets" / "default.npz"
