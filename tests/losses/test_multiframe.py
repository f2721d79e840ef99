"""The multi-frame loss on two rendered frames of one textured face."""

import pytest
import torch

from pgnface import losses
from pgnface.geometry import Pose, rotation_from_angles
from pgnface.ops import build_adjacency, interpolate, rasterize
from tests.models import tiny_model

SIZE = 96
ANGLES = torch.tensor([[0.0, -25.0, 0.0], [5.0, 25.0, 3.0]])


class Scene:
    """A person (identity ``(1, 4)``) in two poses, its colours, and the two pictures."""

    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.model = tiny_model()
        self.adjacency = build_adjacency(self.model.triangles, self.model.vertex_count)
        self.identity = torch.randn(1, 4)
        self.angles = ANGLES.clone()
        self.scale = torch.full((2,), 0.42)
        self.translation = torch.tensor([[48.0, 48, 0], [48.0, 48, 0]])
        x, y, z = (self.model.mean / 30).unbind(-1)
        waves = (torch.sin(2 * x + y), torch.cos(2.2 * y - x), torch.sin(1.7 * x - 2 * y + z))
        self.colors = 0.5 + 0.35 * torch.stack(waves, -1)
        self.images = self.render(self.vertices())

    def vertices(self, identity=None, angles=None, translation=None):
        rotation = rotation_from_angles(self.angles if angles is None else angles)
        translation = self.translation if translation is None else translation
        identity = self.identity if identity is None else identity
        return self.model.vertices(identity, pose=Pose(self.scale, rotation, translation))[None]

    def render(self, vertices, gain=(1.0, 1.0)):
        vertices = vertices.detach()[0]
        fragments = rasterize(vertices, self.model.triangles, SIZE, SIZE)
        image = interpolate(self.colors, self.model.triangles, fragments)
        image = image + (fragments.triangle_ids < 0)[..., None] * 0.3
        return (image * torch.tensor(gain)[:, None, None, None]).permute(0, 3, 1, 2)[None]

    def loss(self, vertices, images=None, **options):
        images = self.images if images is None else images
        return losses.multiframe_photometric_loss(images, vertices, self.adjacency, **options)


@pytest.fixture(scope="module")
def scene():
    return Scene()


def test_true_geometry_is_better_than_any_other(scene):
    truth = scene.loss(scene.vertices())
    assert truth.robust < 0.3 and truth.census < 0.1 and 0.2 < truth.valid_fraction < 0.95
    other = {
        "nose": scene.vertices(identity=scene.identity + torch.tensor([[0.0, 0, 5, 0]])),
        "width": scene.vertices(identity=scene.identity + torch.tensor([[3.0, 0, 0, 0]])),
        "yaw": scene.vertices(angles=ANGLES + torch.tensor([[0.0, 8, 0], [0, 0, 0]])),
        "pitch": scene.vertices(angles=ANGLES + torch.tensor([[0.0, 0, 0], [6, 0, 0]])),
        "shift": scene.vertices(
            translation=scene.translation + torch.tensor([[3.0, 0, 0], [0, 0, 0]])
        ),
    }
    for name, vertices in other.items():
        terms = scene.loss(vertices)
        assert terms.robust > truth.robust, name
        assert terms.census > truth.census, name


@pytest.mark.parametrize("term", ["robust", "census"])
def test_descent_recovers_pose_and_shape(scene, term):
    start = scene.angles + torch.tensor([[0.0, 6, 0], [0, 0, 4]])
    angles = start.clone().requires_grad_()
    shift = (scene.translation + torch.tensor([[2.0, 0, 0], [0, -2, 0]])).requires_grad_()
    optimizer = torch.optim.Adam([{"params": [angles], "lr": 0.3}, {"params": [shift], "lr": 0.1}])
    true = scene.vertices()

    def apart():
        """What two frames can tell: how far apart the same vertex lies, against the truth."""
        found = scene.vertices(angles=angles, translation=shift).detach()
        return ((found - true)[..., :2]).norm(dim=-1).mean()

    before, first = apart(), None
    for _ in range(40):
        value = getattr(scene.loss(scene.vertices(angles=angles, translation=shift)), term)
        first = value.item() if first is None else first
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert value < 0.7 * first
    assert apart() < 0.7 * before


def test_gradients_reach_both_frames(scene):
    vertices = scene.vertices(identity=scene.identity + 1).requires_grad_()
    terms = scene.loss(vertices)
    (terms.robust + terms.census).backward()
    assert torch.isfinite(vertices.grad).all()
    assert (vertices.grad[0].abs().sum((1, 2)) > 0).all()


def test_light_is_matched(scene):
    """Another exposure in one frame changes nothing but the unit of colour."""
    darker = scene.render(scene.vertices(), gain=(1.0, 0.6))
    plain, other = scene.loss(scene.vertices()), scene.loss(scene.vertices(), darker)
    assert other.robust < 1.3 * plain.robust and other.census < 1.5 * plain.census + 1e-3


def test_one_frame_costs_nothing(scene):
    vertices = scene.vertices()[:, :1].requires_grad_()
    terms = scene.loss(vertices, scene.images[:, :1])
    terms.robust.backward()
    assert terms.robust == terms.census == terms.valid_fraction == 0
    assert (vertices.grad == 0).all()


def test_nothing_to_compare(scene):
    """Faces outside the image, seen from behind, or of no weight: zero and finite."""
    back = scene.vertices(angles=ANGLES + torch.tensor([0.0, 180, 0]))
    for vertices, options in (
        (scene.vertices() + 1e3, {}),
        (back, {}),
        (scene.vertices(), {"weights": torch.zeros(1)}),
        (scene.vertices(), {"vertex_mask": torch.zeros(221, dtype=torch.bool)}),
    ):
        vertices = vertices.detach().requires_grad_()
        terms = scene.loss(vertices, **options)
        (terms.robust + terms.census).backward()
        assert terms.robust == terms.census == terms.valid_fraction == 0
        assert torch.isfinite(vertices.grad).all()


def test_three_frames_and_two_persons(scene):
    images = torch.cat((scene.images, scene.images[:, :1]), 1).expand(2, 3, 3, SIZE, SIZE)
    vertices = torch.cat((scene.vertices(), scene.vertices()[:, :1]), 1).expand(2, 3, -1, 3)
    both = scene.loss(vertices, images)
    one = scene.loss(vertices, images, weights=torch.tensor([1.0, 0.0]))
    alone = scene.loss(vertices[:1], images[:1])
    torch.testing.assert_close(one.robust, alone.robust)
    torch.testing.assert_close(both.census, alone.census)


def test_no_persons(scene):
    terms = scene.loss(torch.zeros(0, 2, 221, 3), torch.zeros(0, 2, 3, SIZE, SIZE))
    assert terms.robust == 0


def test_shapes_must_agree(scene):
    with pytest.raises(ValueError, match=r"images must be .* got \(1, 2, 3, 96, 96\) and \(1, 1,"):
        scene.loss(scene.vertices()[:, :1], scene.images)


def test_match_illumination():
    image = torch.rand(2, 3, 8, 8)
    mask = torch.rand(2, 8, 8) > 0.3
    target = 0.7 * image + torch.tensor([0.1, 0.2, 0.0])[:, None, None]
    target = torch.where(mask[:, None], target, torch.rand(2, 3, 8, 8))
    matched = losses.match_illumination(image, target, mask)
    error = ((matched - target).abs() * mask[:, None]).amax()
    assert error < 0.02
    flat = losses.match_illumination(torch.full_like(image, 0.5), target, mask)
    assert torch.isfinite(flat).all()
    same = losses.match_illumination(image, target, torch.zeros(2, 8, 8))
    assert torch.isfinite(same).all()
