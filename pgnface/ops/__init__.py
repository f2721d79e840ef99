"""The kernels as differentiable torch functions, on the CPU and on CUDA.

Every op takes float32 (float64 too on the CPU; half precision is promoted), works under
``torch.compile(fullgraph=True)``, runs on as many threads as ``torch.get_num_threads()`` says and
gives the same bits for any number of them. See docs/ops.md for the conventions.
"""

from .adjacency import Adjacency, build_adjacency
from .census_distance import census_distance
from .closest_point import ClosestPoints, closest_point
from .edge_gradient import edge_gradient
from .evaluate_morphable import QuantizedBasis, evaluate_morphable, quantize_basis
from .interpolate import interpolate
from .rasterize import Fragments, rasterize
from .sample_colors import sample_colors
from .solve_pose import Similarity, solve_pose
from .triangle_tree import TriangleTree, build_triangle_tree
from .vertex_normals import vertex_normals
from .vertex_visibility import vertex_visibility

__all__ = [
    "Adjacency",
    "ClosestPoints",
    "Fragments",
    "QuantizedBasis",
    "Similarity",
    "TriangleTree",
    "build_adjacency",
    "build_triangle_tree",
    "census_distance",
    "closest_point",
    "edge_gradient",
    "evaluate_morphable",
    "interpolate",
    "quantize_basis",
    "rasterize",
    "sample_colors",
    "solve_pose",
    "vertex_normals",
    "vertex_visibility",
]
