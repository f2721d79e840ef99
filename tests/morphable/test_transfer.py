"""Annotations carried between meshes: copies of another topology have a known answer."""

import numpy as np
import pytest
import torch
import trimesh

from pgnface import cli
from pgnface.geometry import rotation_from_angles
from pgnface.geometry.landmarks import LANDMARK_GROUPS
from pgnface.morphable import MorphableModel, load_model, save_model
from pgnface.morphable.transfer import align_face, landmarks_by_transfer, transfer, with_annotations
from tests.models import tiny_model


def two_regions():
    """The tiny model whose forehead is a region of its own."""
    model = tiny_model()
    return MorphableModel(
        *(model.mean, model.identity_basis, model.expression_basis, model.triangles),
        *(model.uv, model.landmarks),
        regions=(model.mean[:, 1] > 40).long(),
        region_names=("skin", "forehead"),
    )


@pytest.fixture(scope="module")
def moved_copy():
    """The tiny model's mean face subdivided, with its vertices in another order, another pose and
    place, a little wider; and where its old vertices went."""
    model = tiny_model()
    vertices, triangles = trimesh.remesh.subdivide(model.mean.numpy(), model.triangles.numpy())
    order = np.random.default_rng(0).permutation(len(vertices))
    triangles, vertices = np.argsort(order)[triangles], vertices[order]
    rotation = rotation_from_angles(torch.tensor([6.0, 3.0, -2.0])).numpy()
    vertices = vertices * (1.03, 1, 1) @ rotation.T + (10, 40, -300)
    # Where a point of the first mesh lies on the second.
    return vertices, triangles, lambda points: points * (1.03, 1, 1) @ rotation.T + (10, 40, -300)


def test_a_copy_of_another_topology_gets_its_own_annotations(moved_copy):
    model, (vertices, triangles, place) = two_regions(), moved_copy
    got = transfer(model, vertices, triangles)
    mean = model.mean.double().numpy()
    edge = np.linalg.norm(vertices[triangles[:, 0]] - vertices[triangles[:, 1]], axis=1).mean()
    true = place(mean[model.landmarks])
    assert np.linalg.norm(vertices[got.landmarks] - true, axis=1).max() < 1.5 * edge
    assert np.linalg.norm(vertices[got.landmarks] - true, axis=1).mean() < 0.5 * edge
    assert len(set(got.landmarks.tolist())) > 60
    # The old vertices are among the new ones: they keep their texture coordinates and regions.
    here = np.linalg.norm(vertices[:, None] - place(mean), axis=-1).argmin(0)
    np.testing.assert_allclose(got.uv[here], model.uv, atol=0.02)
    forehead = np.abs(mean[:, 1] - 40) > 10  # away from the border between the two
    assert (got.regions[here] == model.regions.numpy())[forehead].all()
    assert got.region_names == ("skin", "forehead")
    assert got.distances.max() < 2


def test_the_pose_is_found_without_landmarks_and_with_them(moved_copy):
    vertices, triangles, place = moved_copy
    model = tiny_model()
    found = align_face(model, vertices, triangles).apply(model.mean.numpy())
    assert np.linalg.norm(found - place(model.mean.numpy()), axis=1).mean() < 2.5
    here = np.linalg.norm(vertices[:, None] - place(model.mean.numpy()), axis=-1).argmin(0)
    ids = here[model.landmarks]
    known = align_face(model, vertices, triangles, landmarks=ids).apply(model.mean.numpy())
    assert np.linalg.norm(known - found, axis=1).mean() < 0.5


def test_only_the_parts_asked_for_are_replaced(moved_copy):
    model = two_regions()
    carried = transfer(model, model.mean, model.triangles)
    other = tiny_model()
    got = with_annotations(other, carried, ["regions"])
    assert got.region_names == ("skin", "forehead") and torch.equal(got.regions, model.regions)
    assert torch.equal(got.landmarks, other.landmarks) and torch.equal(got.uv, other.uv)
    assert "by registration: regions" in got.notes
    with pytest.raises(ValueError, match="expected some of landmarks, uv, regions, got color"):
        with_annotations(other, carried, ["color"])
    with pytest.raises(ValueError, match="annotations of 9281 vertices, got 221"):
        with_annotations(load_model(), carried)


def test_the_command_writes_a_model_with_the_carried_parts(tmp_path, capsys):
    save_model(two_regions(), tmp_path / "from.npz")
    save_model(tiny_model(), tmp_path / "to.npz")
    files = [str(tmp_path / name) for name in ("from.npz", "to.npz", "out.npz")]
    cli.main(["model", "transfer", *files])
    got = load_model(files[2])
    assert torch.equal(got.landmarks, tiny_model().landmarks)
    assert got.region_names == ("skin", "forehead")
    torch.testing.assert_close(got.uv, tiny_model().uv, atol=1e-3, rtol=0)
    assert "carried from" in capsys.readouterr().out


@pytest.mark.slow
def test_landmarks_of_the_built_in_model_on_a_noisy_copy():
    """Other connectivity, noise and another pose: within a mean edge."""
    model = load_model()
    vertices, triangles = model.mean.double().numpy(), model.triangles.numpy()
    edge = np.linalg.norm(vertices[triangles[:, 0]] - vertices[triangles[:, 1]], axis=1).mean()
    rotation = rotation_from_angles(torch.tensor([-7.0, 2.0, 1.0])).numpy()
    noise = np.random.default_rng(0).normal(scale=0.1, size=vertices.shape)
    moved = 1.02 * (vertices + noise) @ rotation.T + (0, 100, 50)
    # Each triangle in three, around its centre.
    centres = len(vertices) + np.arange(len(triangles))
    finer = [np.stack((triangles[:, i - 1], triangles[:, i], centres), 1) for i in range(3)]
    mesh = np.concatenate((moved, moved[triangles].mean(1))), np.concatenate(finer)
    got = mesh[0][landmarks_by_transfer(*mesh)]
    errors = np.linalg.norm(got - moved[model.landmarks], axis=1)
    assert errors.mean() < edge


@pytest.mark.kit
@pytest.mark.slow
@pytest.mark.parametrize("backward", [False, True])
def test_between_the_built_in_model_and_ict(kit, backward):
    """The two models' own landmarks agree in style on nose, eyes and lips only."""
    models = load_model(), load_model(kit / "models" / "ict_face.npz")
    source, target = models[::-1] if backward else models
    got = transfer(source, target.mean, target.triangles)
    points = target.mean.numpy()[got.landmarks]
    errors = np.linalg.norm(points - target.landmark_points().numpy(), axis=1)
    mean = {name: errors[list(ids)].mean() for name, ids in LANDMARK_GROUPS.items()}
    assert max(mean["right_eye"], mean["left_eye"], mean["nose_bridge"]) < 2.5
    assert max(mean["nose_base"], mean["outer_lips"], mean["inner_lips"]) < 4
    assert max(mean["right_brow"], mean["left_brow"]) < 12 and mean["jaw"] < 20
