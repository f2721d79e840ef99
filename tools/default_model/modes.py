"""Identity modes: alignment of random heads and principal components."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Modes(NamedTuple):
    """``mean (C, 3)`` and ``basis (I, C, 3)`` in mm per standard deviation; ``held`` is the part of
    the variance that the modes hold, ``spread`` the RMS distance of a vertex from its mean, in mm.
    """

    mean: np.ndarray
    basis: np.ndarray
    held: float
    spread: float


def align(heads: np.ndarray, reference: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Heads ``(n, C, 3)`` after the best similarity onto the reference ``(C, 3)``.

    Args:
        used: ``(C,)`` bool, vertices that the fit looks at.

    Scale goes too: under weak perspective the size of a head cannot be told from the camera's
    scale, so it must not take up a mode.
    """
    heads = heads - heads[:, used].mean(1, keepdims=True)
    center = reference[used].mean(0)
    target = reference[used] - center
    u, s, vh = np.linalg.svd(np.einsum("nci,cj->nij", heads[:, used], target))
    signs = np.ones_like(s)
    signs[:, 2] = np.sign(np.linalg.det(u @ vh))
    scale = (s * signs).sum(1) / (heads[:, used] ** 2).sum((1, 2))
    return scale[:, None, None] * (heads @ ((u * signs[:, None]) @ vh)) + center


def identity_modes(
    heads: np.ndarray, reference: np.ndarray, mirror: np.ndarray, used: np.ndarray, count: int
) -> Modes:
    """Generalised Procrustes alignment (Gower 1975) and principal components of heads and their
    mirror images.

    With every head its mirror image is in the data, so the mean is symmetric and each mode is
    either symmetric or antisymmetric; the two families are analysed apart.

    Args:
        heads: ``(n, C, 3)``.
        reference: ``(C, 3)`` symmetric; fixes position and orientation of the result.
        mirror: ``(C,)`` vertices on the other side.
        used: ``(C,)`` bool, vertices that alignment and variance look at; the others go along.
        count: modes to keep.
    """
    flip = np.array((-1.0, 1.0, 1.0))

    def reflect(shape: np.ndarray) -> np.ndarray:
        return shape[..., mirror, :] * flip

    # The mean takes the average size of the heads.
    centered = heads[:, used] - heads[:, used].mean(1, keepdims=True)
    size = np.sqrt((centered**2).sum((1, 2)).mean())
    mean = reference
    for _ in range(4):
        aligned = align(heads, mean, used)
        mean = aligned.mean(0)
        mean = align(0.5 * (mean + reflect(mean))[None], reference, used)[0]
        center = mean[used].mean(0)
        mean = center + (mean - center) * size / np.linalg.norm(mean[used] - center)
    offsets = align(heads, mean, used) - mean
    rows, variances = [], []
    for part in (0.5 * (offsets + reflect(offsets)), 0.5 * (offsets - reflect(offsets))):
        seen = part[:, used].reshape(len(part), -1) / np.sqrt(len(part))
        values, vectors = np.linalg.eigh(seen @ seen.T)
        order = np.argsort(-values)[:count]
        rows.append(np.einsum("ni,ncj->icj", vectors[:, order], part) / np.sqrt(len(part)))
        variances.append((values[order], values.sum()))
    value = np.concatenate([v for v, _ in variances])
    total = sum(t for _, t in variances)
    order = np.argsort(-value)[:count]
    basis = np.concatenate(rows)[order]
    # The sign of an eigenvector is arbitrary; fix it so that generation is reproducible.
    flat = basis.reshape(count, -1)
    biggest = np.abs(flat).argmax(1)
    basis *= np.sign(flat[np.arange(count), biggest])[:, None, None]
    return Modes(mean, basis, value[order].sum() / total, np.sqrt(total / used.sum()))
