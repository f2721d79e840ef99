"""What one person looks like, as numbers drawn at random: skin, hair, eyes, make-up, beard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Hair in linear RGB, and how often each comes with light and with dark skin.
HAIR_COLORS = {
    "black": ((0.012, 0.010, 0.009), 2.0, 10.0),
    "dark brown": ((0.035, 0.021, 0.013), 4.0, 4.0),
    "brown": ((0.085, 0.048, 0.027), 4.0, 0.6),
    "light brown": ((0.19, 0.115, 0.062), 2.5, 0.1),
    "blond": ((0.42, 0.30, 0.165), 2.0, 0.1),
    "red": ((0.21, 0.066, 0.022), 0.8, 0.05),
    "grey": ((0.27, 0.26, 0.25), 1.2, 0.6),
    "white": ((0.62, 0.60, 0.57), 0.5, 0.2),
}
IRIS_COLORS = {
    "brown": ((0.075, 0.032, 0.013), 4.0, 12.0),
    "dark brown": ((0.022, 0.010, 0.006), 2.0, 12.0),
    "hazel": ((0.14, 0.085, 0.03), 2.0, 0.5),
    "green": ((0.12, 0.15, 0.07), 1.5, 0.1),
    "blue": ((0.15, 0.25, 0.36), 3.5, 0.1),
    "grey": ((0.24, 0.28, 0.30), 1.5, 0.1),
}
BEARD_STYLES = {
    "shaven": 5.0,
    "stubble": 3.0,
    "full": 1.6,
    "moustache": 0.7,
    "goatee": 0.8,
}


@dataclass(frozen=True)
class Appearance:
    """A person's colouring and features.

    Attributes:
        melanin: 0.05 (very fair) to 2.2 (very dark); see :func:`skin_color`.
        blood: 0.15 (pale) to 0.55 (ruddy).
        hair: linear RGB of hair; the brows and the beard are near it.
        iris: linear RGB.
        age: 0 (smooth) to 1 (deeply lined).
        freckles: 0 to 1, how many and how dark.
        moles: how many.
        brow_thickness: mm at the nose end.
        brow_density: 0 to 1.
        beard: a key of :data:`BEARD_STYLES`.
        beard_strength: 0 to 1.
        lip_color: linear RGB of lipstick.
        lip_paint: 0 (bare) to 1 (opaque).
        shadow_color: linear RGB of eye shadow.
        shadow: 0 to 1.
        eyeliner: 0 to 1, lashes included.
        blush: 0 to 1.
        hairline: height of the hairline above the eyes in mm.
    """

    melanin: float
    blood: float
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    age: float
    freckles: float
    moles: int
    brow_thickness: float
    brow_density: float
    beard: str
    beard_strength: float
    lip_color: tuple[float, float, float]
    lip_paint: float
    shadow_color: tuple[float, float, float]
    shadow: float
    eyeliner: float
    blush: float
    hairline: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Appearance:
        """Somebody. Features hang together: colouring, and make-up or beard, but not both."""
        melanin = 0.05 + 2.1 * rng.random() ** 1.9
        dark = min(max((melanin - 0.35) / 0.5, 0.0), 1.0)
        bearded = rng.random() < 0.5
        painted = not bearded and rng.random() < 0.65
        age = rng.random() ** 1.6
        styles = np.array(list(BEARD_STYLES.values()))
        red = 0.5 * rng.random()
        return cls(
            melanin=melanin,
            blood=rng.uniform(0.15, 0.55),
            hair=_pick(rng, HAIR_COLORS, dark),
            iris=_pick(rng, IRIS_COLORS, dark),
            age=age,
            freckles=rng.random() if rng.random() < 0.3 * (1 - dark) else 0.0,
            moles=int(rng.integers(0, 6)),
            brow_thickness=rng.uniform(4.5, 8.0) + (2.0 if bearded else 0.0),
            brow_density=rng.uniform(0.65, 1.0),
            beard=str(rng.choice(list(BEARD_STYLES), p=styles / styles.sum()))
            if bearded
            else "none",
            beard_strength=rng.uniform(0.3, 1.0),
            lip_color=(rng.uniform(0.12, 0.6), red * rng.uniform(0.05, 0.35), red * 0.25),
            lip_paint=rng.uniform(0.2, 0.95) if painted else 0.0,
            shadow_color=tuple(0.02 + 0.28 * rng.random(3) ** 2),
            shadow=rng.uniform(0.1, 0.9) if painted and rng.random() < 0.6 else 0.0,
            eyeliner=rng.uniform(0.4, 1.0) if painted else rng.uniform(0.0, 0.45),
            blush=rng.uniform(0.0, 0.8) if painted else 0.0,
            hairline=rng.uniform(62.0, 90.0),
        )


def skin_color(melanin, blood) -> NDArray[np.float32]:
    """Linear RGB ``(..., 3)`` of skin from its two pigments.

    Absorption grows with each pigment along one direction of log RGB (Tsumura et al., *Image-based
    skin color and texture analysis/synthesis*, SIGGRAPH 2003); the directions here are fitted to
    published colours of fair, medium and dark skin.
    """
    absorption = np.multiply.outer(melanin, (1.0, 1.3, 1.65)) + np.multiply.outer(
        blood, (0.15, 0.8, 0.85)
    )
    return (np.array((0.92, 0.78, 0.66)) * np.exp(-absorption)).astype(np.float32)


def _pick(rng: np.random.Generator, colors: dict, dark: float) -> tuple[float, float, float]:
    odds = np.array([(1 - dark) * light + dark * deep for _, light, deep in colors.values()])
    color = list(colors.values())[rng.choice(len(odds), p=odds / odds.sum())][0]
    jitter = np.exp(0.18 * rng.standard_normal() + 0.06 * rng.standard_normal(3))
    return tuple(float(c) for c in np.clip(np.array(color) * jitter, 0.004, 0.8))
