"""FaceMesh: how faces are cut for it, by a stand-in; the network itself where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.aflw2000 import annotated_photos, list_samples
from pgnface.data.cropping import SquareBox
from pgnface.data.images import read_image
from pgnface.data.teachers import FaceMesh, FaceMeshTeacher
from pgnface.data.teachers.calibration import fit_facemesh
from pgnface.data.teachers.facemesh import INPUT_SIZE, level_box
from pgnface.data.teachers.mesh_map import fit_mesh_map

from .meshes import LANDMARKS, MIRROR, TEMPLATE, face_meshes


class SpotMesh(FaceMesh):
    """Sees the template around the bright spot of a crop, as large as a quarter of it."""

    digest = "spot"

    def __init__(self):
        self.crops = []

    def run(self, crop):
        self.crops.append(crop)
        bright = np.argwhere(crop.mean(-1) > 100)
        if not len(bright):
            return TEMPLATE.copy(), -3.0
        y, x = bright.mean(0) + 0.5
        return TEMPLATE * (INPUT_SIZE / 4 / 170) + [x, y, 0], 5.0


def spot(x, y):
    image = np.zeros((120, 120, 3), np.uint8)
    image[y - 3 : y + 3, x - 3 : x + 3] = 255
    return image


def test_the_square_around_a_mesh():
    """1.5 times the longer side, in the frame where the eyes are level."""
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    low, high = TEMPLATE.min(0), TEMPLATE.max(0)
    mesh = np.column_stack((TEMPLATE @ turn.T + [70, 90], TEMPLATE[:, 2]))
    box = level_box(mesh)
    assert box.angle == pytest.approx(30)
    assert box.side == pytest.approx(1.5 * (high - low)[:2].max())
    np.testing.assert_allclose(box[:2], turn @ ((low + high) / 2) + [70, 90])


def test_a_face_and_its_mirror_image_are_seen_in_the_pixels_of_the_image():
    network = SpotMesh()
    seen = network.see(spot(50, 70), SquareBox(60, 60, 80))
    assert len(network.crops) == 3
    centre = TEMPLATE.mean(0)[:2]
    side = np.ptp(seen.mesh[:, 1])
    for mesh, x in ((seen.mesh, centre[0]), (seen.mirrored, -centre[0])):
        expected = [50 + x * side / 170, 70 + centre[1] * side / 170]
        np.testing.assert_allclose(mesh.mean(0)[:2], expected, atol=0.3)
    # The stand-in sees the template in both, so that the places of a point are each other's mirror.
    np.testing.assert_allclose(seen.mirrored[MIRROR], seen.mesh, atol=0.6)


def test_the_teacher_gives_landmarks_or_says_nothing():
    meshes, mirrored = face_meshes(30)
    mesh_map = fit_mesh_map(meshes, mirrored, meshes[:, LANDMARKS])
    teacher = FaceMeshTeacher(SpotMesh(), mesh_map)
    images = [spot(50, 70), np.zeros((50, 50, 3), np.uint8)]
    boxes = [SquareBox(60, 60, 80), SquareBox(25, 25, 50)]
    face, mirror = teacher.both_sides(images, boxes)
    assert face.shape == (2, 68, 3) and face[1].isnan().all() and mirror[1].isnan().all()
    expected = TEMPLATE[LANDMARKS][:, :2].mean(0)
    np.testing.assert_allclose(face[0, :, :2].mean(0), [50, 70] + expected * 0.2, atol=6)
    np.testing.assert_allclose(face[0, :, :2], mirror[0, :, :2], atol=1)


def test_a_missing_or_other_file(tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter")
    with pytest.raises(UserError, match="pip download --no-deps mediapipe"):
        FaceMesh(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("nothing")
    with pytest.raises(UserError, match="not a TFLite file"):
        FaceMesh(tmp_path / "text.tflite")


@pytest.fixture(scope="module")
def facemesh():
    """The network; its file is named by PGNFACE_FACEMESH."""
    pytest.importorskip("ai_edge_litert.interpreter")
    path = os.environ.get("PGNFACE_FACEMESH")
    if path is None or not Path(path).is_file():
        pytest.skip("PGNFACE_FACEMESH names no file")
    return FaceMesh(path)


def test_a_grey_picture_is_no_face(facemesh):
    assert facemesh.see(np.full((90, 90, 3), 127, np.uint8), SquareBox(45, 45, 90)) is None


@pytest.mark.kit
def test_landmarks_of_photos(facemesh, kit):
    """A map fitted on 60 faces already gives those of others within 6 % of their size."""
    photos = annotated_photos(list_samples(kit / "aflw2000_dev")[:90], {})
    seen = [(facemesh.see(read_image(p.path), p.square), p) for p in photos]
    seen = [(m, p) for m, p in seen if m is not None]
    assert len(seen) > 75
    meshes, mirrored = (np.stack([s[i] for s, _ in seen]) for i in (0, 1))
    true = np.stack([p.landmarks for _, p in seen])
    mesh_map = fit_mesh_map(meshes[:60], mirrored[:60], true[:60], ridge=1e-2)
    assert (mesh_map.mirror[mesh_map.mirror] == np.arange(468)).all()
    error = np.linalg.norm((mesh_map(meshes[60:]) - true[60:])[..., :2], axis=-1).mean(1)
    size = np.sqrt(np.ptp(true[60:, :, :2], axis=1).prod(-1))
    assert np.median(error / size) < 0.06


@pytest.mark.kit
def test_a_folder_without_faces(facemesh, tmp_path):
    with pytest.raises(FileNotFoundError):
        fit_facemesh(tmp_path / "none", facemesh, {})
