"""The colours of a reconstructed face, taken from its photo.

What the photo shows is sampled; what it hides is taken from the other half of the face where that
is seen, and continued smoothly where neither is.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pgnface import ops
from pgnface.morphable import MorphableModel
from pgnface.morphable.uv import UVAtlas

# A surface seen at a cosine below the first gets no colour from the photo (silhouettes catch the
# background), above the second all of it.
_GRAZING = (0.1, 0.45)
# Visibility is decided on a picture of at most this many pixels a side.
_VISIBILITY_SIZE = 512


def vertex_colors(photo: Tensor, vertices: Tensor, model: MorphableModel) -> tuple[Tensor, Tensor]:
    """Colours of one face's vertices and how well the photo shows each.

    Args:
        photo: ``(3, H, W)`` in [0, 1].
        vertices: ``(V, 3)`` in image space of the photo.
        model: the face model that the vertices belong to.

    Returns:
        colors ``(V, 3)`` in [0, 1], and weights ``(V,)`` in [0, 1]: 1 where the photo shows the
        vertex from the front, 0 where it hides it.
    """
    colors = ops.sample_colors(photo[None], vertices[None])[0]
    weights = _visibility(vertices, model, photo.shape[1:])
    mirror = _mirrored_vertices(model)
    mirror_weights = (1 - weights) * weights[mirror]
    total = weights + mirror_weights
    mixed = weights[:, None] * colors + mirror_weights[:, None] * colors[mirror]
    known = total > 0.05
    mixed = mixed / total.clamp(min=1e-6)[:, None]
    return _continue_smoothly(mixed, known, model.triangles).clamp(0, 1), weights


def photo_texture(
    photo: Tensor, vertices: Tensor, model: MorphableModel, size: int = 512
) -> Tensor:
    """Texture ``(3, size, size)`` in [0, 1] in the model's UV, at the photo's resolution.

    Args:
        photo, vertices, model: as for :func:`vertex_colors`.
        size: pixels a side.
    """
    atlas = _atlas(model, size)
    colors, weights = vertex_colors(photo, vertices, model)
    baked = atlas.bake(torch.cat((colors, weights[:, None], vertices), -1))
    fill, weight, points = baked[:3], baked[3], baked[4:]
    sampled = ops.sample_colors(photo[None], points.flatten(1).T[None])[0]
    sampled = sampled.T.unflatten(1, (size, size))
    return (weight * sampled + (1 - weight) * fill).clamp(0, 1)


def _visibility(vertices: Tensor, model: MorphableModel, photo_size: torch.Size) -> Tensor:
    """Weights ``(V,)``: inside the photo, not hidden, and facing the viewer."""
    low, high = vertices[:, :2].amin(0), vertices[:, :2].amax(0)
    extent = float((high - low).max())
    scale = _VISIBILITY_SIZE / max(extent, 1e-6) if extent > _VISIBILITY_SIZE else 1.0
    local = vertices * scale
    local = local - torch.cat((low * scale - 2, local[:, 2:].amin(0)))
    width, height = (int(n) for n in ((high - low) * scale).ceil() + 4)
    depth = ops.rasterize(local[None], model.triangles, height, width).depth
    seen = ops.vertex_visibility(local[None], model.triangles, depth)[0]
    # z points into the scene: what faces the viewer has a normal of negative z.
    facing = -ops.vertex_normals(vertices[None], model.adjacency)[0, :, 2]
    slope = ((facing - _GRAZING[0]) / (_GRAZING[1] - _GRAZING[0])).clamp(0, 1)
    limits = vertices.new_tensor(photo_size[::-1])
    inside = ((vertices[:, :2] >= 0) & (vertices[:, :2] <= limits)).all(-1)
    return slope * slope * (3 - 2 * slope) * seen * inside


# What depends on the face model alone is kept for the next photo.
@lru_cache(maxsize=1)
def _atlas(model: MorphableModel, size: int) -> UVAtlas:
    return UVAtlas(model, size)


@lru_cache(maxsize=1)
def _mirrored_vertices(model: MorphableModel) -> Tensor:
    """For each vertex ``(V,)`` the one nearest to its mirror image."""
    from scipy.spatial import cKDTree

    points = model.mean.detach().cpu().double().numpy()
    _, index = cKDTree(points).query(points * (-1, 1, 1))
    return torch.from_numpy(index).to(model.mean.device)


def _continue_smoothly(values: Tensor, known: Tensor, triangles: Tensor) -> Tensor:
    """Harmonic continuation over a mesh: unknown vertices become the mean of their neighbours.

    Args:
        values: ``(V, C)``, read where ``known`` ``(V,)``; the rest may be anything finite.
        triangles: ``(T, 3)``.
    """
    import numpy as np
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import spsolve

    if bool(known.all()) or not bool(known.any()):
        return values if bool(known.any()) else torch.full_like(values, 0.5)
    corners = triangles.long().cpu().numpy()
    edges = np.concatenate([corners[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    edges = np.concatenate((edges, edges[:, ::-1]))
    count = len(values)
    links = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)).tocsr()
    links.data[:] = 1
    is_known = known.cpu().numpy()
    source = values.detach().cpu().double().numpy()
    # A faint pull to the mean keeps parts of the mesh without any known vertex determined.
    pull, average = 1e-4, source[is_known].mean(0)
    laplacian = (diags(np.asarray(links.sum(1)).ravel() + pull) - links).tocsr()[~is_known]
    right = pull * average - laplacian[:, is_known] @ source[is_known]
    filled = source.copy()
    filled[~is_known] = spsolve(laplacian[:, ~is_known].tocsc(), right).reshape(right.shape)
    return torch.from_numpy(filled).to(values)
