import dataclasses

import cv2
import numpy as np
import pytest
import torch

from pgnface import ops
from pgnface.data.source import Source
from pgnface.data.synthetic import SyntheticSource
from pgnface.data.synthetic.backgrounds import random_background
from pgnface.data.synthetic.drawing import has_holes
from pgnface.data.synthetic.sampling import ExpressionSampler, sample_angles, sample_identity
from pgnface.morphable import load_model
from pgnface.render import render

from ..models import tiny_model

SIZE = 48


def make_source(**changes):
    settings = {"frames": 2, "seed": 1, "people": 3, "texture_size": 32, "supersample": 1}
    return SyntheticSource(tiny_model(), SIZE, **(settings | changes))


@pytest.fixture(scope="module")
def source():
    return make_source()


@pytest.fixture(scope="module")
def batch(source):
    return source.batch(0, 8)


def fields_of(batch):
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    pose = values.pop("pose")
    return {**values, **pose._asdict()}


def test_is_a_source(source):
    assert isinstance(source, Source) and source.skipped == {}


@pytest.mark.parametrize("size, subjects", [(8, 4), (7, 3), (1, 1)])
def test_subjects_fit_the_budget(source, size, subjects):
    assert source.batch(0, size).image.shape == (subjects, 2, 3, SIZE, SIZE)


def test_a_step_gives_the_same_batch_whatever_came_before(source, batch):
    source.batch(5, 4)
    for again in (source.batch(0, 8), make_source().batch(0, 8)):
        for name, value in fields_of(batch).items():
            same = fields_of(again)[name]
            assert torch.equal(value, same) if torch.is_tensor(value) else value == same, name


def test_steps_and_seeds_differ(source, batch):
    for other in (source.batch(1, 8), make_source(seed=2).batch(0, 8)):
        assert not torch.equal(other.image, batch.image)
        assert not torch.equal(other.identity, batch.identity)


def test_pictures_are_in_range_and_show_something(batch):
    assert batch.image.min() >= 0 and batch.image.max() <= 1
    assert batch.image.flatten(2).std(-1).min() > 0.02


def test_labels_reproject(source, batch):
    model = source.model
    vertices = model.vertices(batch.identity[:, None], batch.expression, batch.pose)
    torch.testing.assert_close(
        vertices[..., model.landmarks, :], batch.landmarks, atol=1e-3, rtol=1e-4
    )
    assert (batch.landmark_weights == 1).all() and (batch.pose_weight == 1).all()
    assert (batch.coefficient_weight == 1).all() and not batch.annotated.any()


def test_faces_lie_in_the_crop(batch):
    low = batch.landmarks[..., :2].amin(-2)
    high = batch.landmarks[..., :2].amax(-2)
    assert ((low + high) / 2 - SIZE / 2).abs().max() < 0.1 * SIZE
    extent = (high - low).amax(-1) / SIZE
    assert extent.min() > 0.6 and extent.max() < 0.95


def test_visible_landmarks_lie_at_the_depth_of_the_drawn_surface(source, batch):
    model = source.model
    vertices = model.vertices(batch.identity[:, None], batch.expression, batch.pose).flatten(0, 1)
    output = render(
        *(vertices, model.triangles, SIZE, SIZE), colors=torch.ones(model.vertex_count, 1)
    )
    seen = ops.vertex_visibility(vertices, model.triangles, output.depth)[:, model.landmarks]
    assert seen.float().mean() > 0.3
    points = batch.landmarks.flatten(0, 1)
    depth = torch.where(output.mask > 0, output.depth, 0.0)[:, None]
    cover = ops.sample_colors(output.mask[:, None], points)[..., 0]
    drawn = ops.sample_colors(depth, points)[..., 0]
    inside = seen & (cover > 0.999)
    # Bilinear depth across a step of the surface is off by a part of it.
    assert (drawn - points[..., 2])[inside].abs().median() < 0.3


def test_plain_pictures_show_the_mesh_where_the_labels_say():
    plain = make_source(surroundings=False, degrade_images=False)
    batch, model = plain.batch(3, 4), plain.model
    vertices = model.vertices(batch.identity[:, None], batch.expression, batch.pose).flatten(0, 1)
    mask = render(
        *(vertices, model.triangles, SIZE, SIZE), colors=torch.ones(model.vertex_count, 1)
    ).mask
    # The same faces on other backgrounds differ exactly off the mesh.
    plain._background = lambda rng, size: random_background(np.random.default_rng(9), size)
    change = (plain.batch(3, 4).images - batch.images).abs().sum(1)
    assert change[mask > 0].max() == 0 and (change[mask == 0] > 0).float().mean() > 0.9


def test_the_camera_leaves_things_where_they_are(source):
    # Whatever it does to the pixels, the bright quarter stays the bright one.
    picture = np.full((SIZE, SIZE, 3), 40, np.uint8)
    picture[: SIZE // 2, SIZE // 2 :] = 220
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(200):
        seen = source._photographed(picture.copy(), rng).astype(float).mean(-1)
        quarters = seen.reshape(2, SIZE // 2, 2, SIZE // 2).mean((1, 3))
        right += quarters.argmax() == 1
    assert right == 200


def test_frames_of_a_subject_are_one_person_in_different_pictures(batch):
    assert batch.identity.shape == (4, 4)
    assert (batch.pose.rotation[:, 0] - batch.pose.rotation[:, 1]).abs().amax((1, 2)).min() > 0
    assert (batch.expression[:, 0] - batch.expression[:, 1]).abs().sum() > 0


def test_single_frames():
    assert make_source(frames=1).batch(0, 3).image.shape == (3, 1, 3, SIZE, SIZE)


def test_poses_reach_profile_and_gather_about_frontal():
    yaw = sample_angles(np.random.default_rng(0), 4000, 1)[..., 1].ravel()
    share = [np.mean((np.abs(yaw) >= low) & (np.abs(yaw) < low + 30)) for low in (0, 30, 60)]
    assert share[0] > share[1] > 0.12 and share[2] > 0.12
    assert abs(np.mean(yaw)) < 3 and np.abs(yaw).max() <= 92


def test_frames_turn_about_a_common_direction():
    yaw = sample_angles(np.random.default_rng(0), 2000, 2)[..., 1]
    assert np.corrcoef(yaw.T)[0, 1] > 0.8
    assert np.abs(yaw[:, 0] - yaw[:, 1]).mean() > 8


def test_identities_are_cut_off():
    identity = sample_identity(np.random.default_rng(0), 2000, 5)
    assert np.abs(identity).max() <= 2.5 and identity.std() == pytest.approx(1, abs=0.05)


def test_expressions_of_unknown_names_are_small_and_positive():
    values = ExpressionSampler(["one", "two", "three"])(np.random.default_rng(0), 500)
    assert values.shape == (500, 3) and values.min() >= 0
    assert (values == 0).mean() > 0.3 and 0.05 < values.mean() < 0.5


def test_principal_components_of_expression_take_either_sign():
    values = ExpressionSampler(["pca_0", "pca_1"])(np.random.default_rng(0), 2000)
    assert np.abs(values).max() <= 2.5 and values.dtype == np.float32
    assert np.abs(values.mean(0)).max() < 0.05 and (values.std(0) > 0.5).all()


@pytest.mark.parametrize("ends", [("Left", "Right"), ("_L", "_R")])
def test_blendshapes_act_together(ends):
    parts = ["mouthSmile", "eyeBlink", "cheekSquint", "eyeLookOut", "eyeLookIn", "eyeSquint"]
    parts += ["browDown", "mouthFrown", "mouthPress", "noseSneer"]
    names = ["jawOpen", *(part + end for part in parts for end in ends)]
    sampler = ExpressionSampler(names)
    values = sampler(np.random.default_rng(0), 2000)
    assert sampler.has_blendshapes and values.min() >= 0 and values.max() <= 1

    def column(part, side=0):
        return values[:, names.index(part + ends[side])]

    assert np.corrcoef(column("mouthSmile", 0), column("mouthSmile", 1))[0, 1] > 0.85
    assert np.corrcoef(column("eyeBlink", 0), column("eyeBlink", 1))[0, 1] > 0.8
    # Looking to one side turns one eye out and the other in.
    assert np.corrcoef(column("eyeLookOut", 0), column("eyeLookIn", 1))[0, 1] > 0.7


def test_photos_can_stand_behind(tmp_path):
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((40, 60, 3), (255, 0, 0), np.uint8))
    plain = make_source(backgrounds=tmp_path, surroundings=False, degrade_images=False)
    corners = plain.batch(0, 4).images[:, :, 0, 0]
    torch.testing.assert_close(corners, torch.tensor([0.0, 0.0, 1.0]).expand(4, 3))


def test_broken_photos_are_counted_not_used(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    source = make_source(backgrounds=tmp_path)
    assert torch.isfinite(source.batch(0, 2).image).all()
    assert source.skipped == {"broken.jpg": "not a readable image"}


def test_backgrounds_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="no images"):
        make_source(backgrounds=tmp_path)


@pytest.mark.parametrize("name", ["frames", "people", "supersample", "texture_size"])
def test_bad_numbers_are_named(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        make_source(**{name: 0})


@pytest.mark.parametrize("name", ["default", pytest.param("ict", marks=pytest.mark.kit)])
def test_real_models(name, request):
    holes = name == "ict"
    if holes:
        name = request.getfixturevalue("kit") / "models" / "ict_face.npz"
    model = load_model(name)
    source = SyntheticSource(model, 64, people=1, texture_size=64, degrade_images=False)
    batch = source.batch(0, 2)
    assert torch.isfinite(batch.image).all() and batch.image.std() > 0.05
    assert has_holes(model) == holes
