"""Where a benchmark's predicted meshes come from: a network, or a folder of another method's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import NothingFoundError, UserError

from .meshes import find_mesh, read_mesh, read_points
from .report import describe

if TYPE_CHECKING:
    from pgnface.data.cropping import SquareBox
    from pgnface.networks import PoseGuidanceNetwork


class PredictedMesh(NamedTuple):
    """A predicted face in its own frame, y up and z out of the face.

    Attributes:
        vertices, triangles: ``(V, 3)`` and ``(T, 3)``.
        landmarks: ``(K, 3)``: those that the protocol asks for, of iBUG's 68.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]
    landmarks: NDArray[np.float64]


class NetworkPredictions:
    """Meshes of a network in mm.

    Args:
        checkpoint: weights to load, or a network.
        landmarks: numbers of the landmarks that come with a mesh.
        expression: with the predicted expression; else the neutral face.
        detector: finds the face (:func:`pgnface.data.detectors.build_detector`).
    """

    def __init__(
        self,
        checkpoint: str | Path | PoseGuidanceNetwork = "default",
        *,
        landmarks: Sequence[int],
        expression: bool = False,
        detector: str = "auto",
    ) -> None:
        from pgnface.data.detectors import build_detector
        from pgnface.networks.inference import resolve_network

        self.source = describe(checkpoint)
        self._network = resolve_network(checkpoint)
        self._detect = build_detector(detector)
        self._landmarks = list(landmarks)
        self._expression = expression

    def of_image(
        self, image: NDArray[np.uint8], box: SquareBox | None = None, *, posed: bool = False
    ) -> PredictedMesh:
        """A face in an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            box: where it is, roughly; the largest face that the detector finds when missing.
            posed: in image space.

        Raises:
            NothingFoundError: when there is none.
        """
        import torch

        from pgnface.networks.inference import model_on_cpu, predict_faces, to_cpu

        boxes = self._detect(image) if box is None else [box]
        if not boxes:
            raise NothingFoundError("no face found")
        prediction = to_cpu(predict_faces(self._network, [image], boxes[:1], passes=2))
        model = model_on_cpu(self._network.model)
        with torch.no_grad():
            expression = prediction.expression[:1] if self._expression else None
            pose = prediction.pose if posed else None
            vertices = model.vertices(prediction.identity, expression, pose)[0].double().numpy()
        landmarks = vertices[model.landmarks[self._landmarks].numpy()]
        return PredictedMesh(vertices, model.triangles.long().numpy(), landmarks)

    def __call__(self, name: str, image: Path, box: SquareBox | None = None) -> PredictedMesh:
        """The mesh of a sample by its photo; ``box``: where the face is, roughly.

        Raises:
            UserError: when the photo cannot be read or holds no face.
        """
        from pgnface.data.images import read_image

        return self.of_image(read_image(image), box)


class FolderPredictions:
    """Meshes ``NAME.obj`` or ``NAME.ply`` of a folder, with landmarks ``NAME.npy`` or ``NAME.txt``.

    Args:
        folder: of the files; names may hold folders.
        landmarks: how many landmarks come with a mesh.

    Raises:
        FileNotFoundError: when the folder is missing.
    """

    def __init__(self, folder: str | Path, *, landmarks: int) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")
        self.source = str(folder)
        self._landmarks = landmarks

    def __call__(
        self, name: str, image: Path | None = None, box: SquareBox | None = None
    ) -> PredictedMesh:
        """The mesh of a sample by its name.

        Raises:
            UserError: naming the file, when one is missing or damaged.
        """
        stem = self.folder / name
        mesh = read_mesh(find_mesh(stem))
        for suffix in (".npy", ".txt"):
            path = stem.parent / (stem.name + suffix)
            if path.is_file():
                return PredictedMesh(*mesh, read_points(path, self._landmarks))
        raise UserError(
            f"{stem}: expected {self._landmarks} landmarks in {stem.name}.npy or {stem.name}.txt"
        )


def open_predictions(
    checkpoint: str | Path | PoseGuidanceNetwork,
    folder: str | Path | None,
    *,
    landmarks: Sequence[int],
    expression: bool = False,
) -> NetworkPredictions | FolderPredictions:
    """The predictions of a folder where one is given, else of a network."""
    if folder is not None:
        return FolderPredictions(folder, landmarks=len(landmarks))
    return NetworkPredictions(checkpoint, landmarks=landmarks, expression=expression)
