"""Which part of a data set trains, and which validates."""

from __future__ import annotations

BLOCK = 20
"""Consecutive files often show one person: splits cut between blocks of this many files."""

SPLITS = ("all", "train", "validation")


def in_split(index: int, split: str, block: int = BLOCK) -> bool:
    """Whether the ``index``-th item belongs to a split: of every five blocks the fifth validates.

    Raises:
        ValueError: for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    return split == "all" or (index // block % 5 == 4) == (split == "validation")
