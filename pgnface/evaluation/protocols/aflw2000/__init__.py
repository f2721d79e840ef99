"""AFLW2000-3D (Zhu et al., *Face Alignment Across Large Poses: A 3D Solution*, CVPR 2016)."""

from .dense import DenseBasis, read_dense_basis
from .evaluate import evaluate_aflw2000
from .reannotations import read_reannotations

__all__ = ["DenseBasis", "evaluate_aflw2000", "read_dense_basis", "read_reannotations"]
