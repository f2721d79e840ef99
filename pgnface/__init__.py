"""3D faces from photos and videos with a pose guidance network, on C++/CUDA kernels."""

from importlib.metadata import version

__version__ = version("pgnface")
