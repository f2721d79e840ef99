import numpy as np
import pytest

from pgnface.data.cropping import SquareBox
from pgnface.networks.inference import predict_faces
from pgnface.reconstruction.face import Face, build_faces

BOX = SquareBox(60, 45, 64)


@pytest.fixture
def face(tiny_network) -> Face:
    photo = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    return build_faces(tiny_network, [photo], [BOX], predict_faces(tiny_network, [photo], [BOX]))[0]


def test_pictures_files_and_facts(face, tmp_path):
    assert face.shape.shape == face.vertices.shape == (221, 3)
    assert face.colors.shape == (221, 3) and face.texture(64).shape == (64, 64, 3)
    overlay = face.overlay()
    assert overlay.shape == face.photo.shape and (overlay != face.photo).any()
    assert len(face.mesh().vertices) == 221
    for suffix in ("glb", "obj", "ply"):
        assert face.save(tmp_path / f"face.{suffix}").stat().st_size > 1000
    facts = face.to_dict()
    assert facts["box"] == [28, 13, 92, 77] and facts["box_angle"] == 0
    assert len(facts["landmarks_2d"]) == 68
    assert {"pitch", "yaw", "roll", "scale", "translation"} <= facts["pose"].keys()
    assert len(facts["identity"]) == 4 and facts["model"] == "tiny"


def test_prints_as_one_line_and_can_be_looked_up(face):
    assert repr(face).startswith("Face(box=(28, 13, 92, 77), pitch=") and len(repr(face)) < 150
    assert [face].index(face) == 0 and len({face, face}) == 1
