import numpy as np
import pytest
import torch

from pgnface.morphable import load_model
from pgnface.morphable.albedo import Appearance, FaceChart, paint, random_albedo, skin_color
from pgnface.morphable.albedo.appearance import BEARD_STYLES
from pgnface.morphable.albedo.chart import smooth, step_between

from ..models import tiny_model


@pytest.fixture(scope="module")
def chart():
    return FaceChart(tiny_model(), 64)


def person(**changes):
    plain = vars(Appearance.random(np.random.default_rng(0))) | {
        "melanin": 0.3,
        "beard": "none",
        "lip_paint": 0.0,
        "shadow": 0.0,
        "age": 0.0,
        "moles": 0,
        "freckles": 0.0,
        "hair": (0.01, 0.01, 0.01),
        "hairline": 150.0,
    }
    return Appearance(**(plain | changes))


def painted(chart, **changes):
    return paint(chart, person(**changes), np.random.default_rng(1))


def value_at(chart, albedo, point):
    """The colour of the texel that lies nearest to a point of the plane."""
    distance = (chart.plane - point).norm(dim=-1)
    row, column = divmod(int(distance.argmin()), chart.size)
    return albedo[:, row, column]


def test_colours_are_linear_rgb_and_finite():
    albedo = random_albedo(tiny_model(), 32, torch.Generator().manual_seed(1), count=3)
    assert albedo.shape == (3, 3, 32, 32)
    assert torch.isfinite(albedo).all() and albedo.min() >= 0 and albedo.max() <= 1


def test_depends_on_the_generator_alone():
    draw = [
        random_albedo(tiny_model(), 32, torch.Generator().manual_seed(seed), count=2)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    assert (draw[0][0] - draw[0][1]).abs().mean() > 0.01


def test_melanin_darkens_and_blood_reddens():
    fair, dark, ruddy = skin_color(0.1, 0.3), skin_color(1.5, 0.3), skin_color(0.1, 0.6)
    assert (dark < fair).all()
    assert fair[0] > fair[1] > fair[2]
    assert ruddy[0] / ruddy[1] > fair[0] / fair[1]


def test_features_lie_at_their_landmarks(chart):
    bare = painted(chart, lip_paint=0.0)
    lipstick = painted(chart, lip_paint=1.0, lip_color=(0.5, 0.0, 0.0))
    lower_lip = (chart.landmarks[57] + chart.landmarks[66]) / 2
    change = (bare - lipstick).abs().sum(0)
    assert change[chart.lips > 3].max() < 1e-6
    assert value_at(chart, lipstick, lower_lip)[1] < value_at(chart, bare, lower_lip)[1]
    dark, light = painted(chart), painted(chart, hair=(0.6, 0.6, 0.6))
    brow = (dark - light).abs().sum(0)
    assert value_at(chart, brow[None], chart.landmarks[19])[0] > 0.1
    assert brow[chart.plane[..., 1] < -20].max() < 1e-6


@pytest.mark.parametrize("style", [*BEARD_STYLES, "none"])
def test_beards_stay_off_the_forehead(chart, style):
    beard = painted(chart, beard=style, beard_strength=1.0)
    shaved = painted(chart, beard="none")
    change = (beard - shaved).abs().sum(0)
    # The random numbers of a beard shift those of what is painted after it, brows among them.
    under_eye = value_at(chart, change[None], (2 * chart.landmarks[40] + chart.landmarks[31]) / 3)
    assert under_eye < 0.05
    chin = value_at(chart, shaved - beard, chart.landmarks[8] + torch.tensor([0.0, 12.0]))
    assert (chin > 0.015).all() == (style != "none")


def test_distances_are_in_millimetres():
    chart = FaceChart(tiny_model(), 64)
    square = torch.tensor([[-20.0, -20], [20, -20], [20, 20], [-20, 20]])
    distance = chart.distance_to_area(square)
    x, y = chart.plane.abs().unbind(-1)
    inside = (x < 20) & (y < 20)
    assert torch.equal(distance < 0, inside)
    torch.testing.assert_close(distance[inside], (torch.maximum(x, y) - 20)[inside])
    line = chart.distance_to_line(square[:2])
    torch.testing.assert_close(line[x < 20], (chart.plane[..., 1] + 20).abs()[x < 20])


def test_curves_pass_through_their_points():
    points = torch.tensor([[0.0, 0], [1, 2], [3, 1], [4, 4]])
    for closed in (False, True):
        curve = smooth(points, closed=closed, pieces=5)
        assert torch.cdist(points, curve).min(1).values.max() < 1e-6
    ramp = step_between(torch.tensor([0.0, 1.0, 2.0, 3.0]), 1.0, 2.0)
    assert ramp.tolist() == [0, 0, 1, 1]


def test_regions_are_painted(chart):
    model = tiny_model()
    eye = torch.zeros(model.vertex_count, dtype=torch.uint8)
    eye[model.landmarks[36:48]] = 1
    parts = {"regions": eye, "region_names": ("skin", "eyes")}
    basis = (model.identity_basis, model.expression_basis, model.triangles, model.uv)
    seeing = type(model)(model.mean, *basis, model.landmarks, **parts)
    rng = np.random.default_rng(1)
    albedo = paint(FaceChart(seeing, 64), person(melanin=2.0, eyeliner=0.0), rng)
    assert albedo[:, FaceChart(seeing, 64).regions["eyes"] > 0.9].mean() > albedo.mean() + 0.05


@pytest.mark.kit
def test_another_model(kit):
    model = load_model(kit / "models" / "ict_face.npz")
    albedo = random_albedo(model, 64, torch.Generator().manual_seed(3))
    assert torch.isfinite(albedo).all() and albedo.std() > 0.02


@pytest.mark.parametrize("size, count", [(0, 1), (8, 0)])
def test_bad_sizes(size, count):
    with pytest.raises(ValueError, match="at least 1"):
        random_albedo(tiny_model(), size, torch.Generator(), count)
