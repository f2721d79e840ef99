import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pgnface import ops
from pgnface.geometry import rotation_from_angles
from pgnface.ops import reference

from . import contract

RESULTS = ("scale", "rotation", "translation", "residual")


def normal(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def posed(source: Tensor, noise: float = 0.0, seed: int = 2) -> Tensor:
    """Similarity transforms of the points, with noise."""
    batch = source.shape[0]
    rotation = rotation_from_angles(120 * normal(batch, 3, seed=seed))
    scale = normal(batch, seed=seed + 1).abs() + 0.5
    moved = scale[:, None, None] * source @ rotation.transpose(1, 2)
    return moved + 5 * normal(batch, 1, 3, seed=seed + 2) + noise * normal(*source.shape, seed=9)


MIRROR = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
CASES = {
    "generic": (lambda x: x, lambda x: posed(x, 0.1)),
    "unrelated": (lambda x: x, lambda x: normal(*x.shape, seed=7)),
    "planar": (lambda x: x * torch.tensor([1.0, 2.0, 0.0]).double(), posed),
    "planar, noisy target": (
        lambda x: x * torch.tensor([1.0, 2.0, 0.0]).double(),
        lambda x: posed(x, 0.2),
    ),
    "mirrored": (
        lambda x: x * torch.tensor([3.0, 2.0, 1.0]).double(),
        lambda x: posed(x * MIRROR, 0.05),
    ),
}


def make_inputs(case="generic", batch=4, count=12, weighted=True):
    shape, move = CASES[case]
    source = shape(normal(batch, count, 3))
    inputs = [source, move(source)]
    if weighted:
        inputs.append(normal(batch, count, seed=5).abs() + 0.1)
    return [t.detach().requires_grad_() for t in inputs]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_matches_twin(case, weighted):
    if case == "planar":
        pytest.skip("the twin's gradient of a residual of zero is not finite")
    inputs = make_inputs(case, weighted=weighted)
    contract.assert_matches_twin(ops.solve_pose, reference.solve_pose, inputs)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("count", [1000, 81, 80, 3])  # around what is held in fast memory
def test_matches_twin_for_many_points(count, weighted):
    inputs = make_inputs(batch=11, count=count, weighted=weighted)
    contract.assert_matches_twin(ops.solve_pose, reference.solve_pose, inputs)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case, weighted):
    def without_residual(*inputs):
        return ops.solve_pose(*inputs)[:3]

    op = without_residual if case == "planar" else ops.solve_pose  # sqrt has no slope at zero
    contract.assert_gradients(op, make_inputs(case, batch=2, count=6, weighted=weighted))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("offset, size", [(0, 1), (300, 100), (1e4, 1), (0, 1e-6), (0, 1e12)])
def test_agrees_with_a_float64_svd(case, offset, size):
    source, target, weights = (t.detach().float() for t in make_inputs(case, batch=300, count=68))
    source, target = size * source + offset, size * target - offset
    # Both see the same rounded input, so the comparison is of the arithmetic alone.
    fit = ops.solve_pose(source, target, weights)
    expected = reference.solve_pose(source.double(), target.double(), weights.double())
    assert (fit.rotation - expected.rotation).abs().max() < 1e-5
    torch.testing.assert_close(fit.scale.double(), expected.scale, rtol=1e-5, atol=0)
    torch.testing.assert_close(
        fit.residual.double(), expected.residual, rtol=1e-5, atol=1e-6 * size
    )
    # A translation carries the offset times the rounding of the pose itself: compare the fit.
    fitted, truth = (
        f.scale[:, None, None].double() * source.double() @ f.rotation.double().transpose(1, 2)
        + f.translation[:, None].double()
        for f in (fit, expected)
    )
    assert (fitted - truth).abs().max() < 1e-5 * (size * 10 + offset)


@pytest.mark.parametrize("gap", [1.0, 0.1, 0.01, 2e-3, 1e-3, 5e-4, 1e-4])
def test_agrees_with_a_float64_svd_where_a_direction_is_hardly_determined(gap):
    # Singular values 1, 1/2 and gap - 1/2 with a reflection: the last two nearly cancel.
    source = torch.cat([torch.eye(3), -torch.eye(3)]).expand(50, 6, 3)
    turn = rotation_from_angles(60 * normal(50, 3)).float()
    target = source * torch.tensor([1.0, 0.5, gap - 0.5]) @ turn.transpose(1, 2)
    inputs = [(source @ turn).requires_grad_(), target.requires_grad_()]
    (fit, grads), (expected, expected_grads) = (
        contract.run_with_gradients(op, contract.cast(inputs, dtype))
        for op, dtype in ((ops.solve_pose, torch.float32), (reference.solve_pose, torch.float64))
    )
    assert (fit[1] - expected[1]).abs().max() < 1e-6
    for grad, truth in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad.double(), truth, rtol=1e-4, atol=1e-4 / gap)


def test_residual_of_an_exact_fit_is_zero():
    source = (10 * normal(20, 68, 3)).round().float()  # whole numbers: no rounding of the input
    fit = ops.solve_pose(source, 2 * source + 3)
    assert fit.residual.max() < 1e-12


@pytest.mark.parametrize("weighted", [True, False])
def test_an_item_does_not_depend_on_its_neighbours(weighted):
    parts = [make_inputs(case, batch=3, count=20, weighted=weighted) for case in CASES]
    inputs = [torch.cat(same).detach() for same in zip(*parts, strict=True)]
    inputs[0][7, 0, 0] = float("nan")
    inputs[1][4] = 0

    def solve(*inputs):
        leaves = [t.float().requires_grad_() for t in inputs]
        fit = ops.solve_pose(*leaves)
        return [*fit, *torch.autograd.grad(sum(part.sum() for part in fit), leaves)]

    together = solve(*inputs)
    for n in range(len(inputs[0])):
        for alone, among in zip(solve(*(t[n : n + 1] for t in inputs)), together, strict=True):
            assert torch.equal(alone[0].nan_to_num(7.0), among[n].nan_to_num(7.0))


def test_recovers_a_known_similarity():
    source = normal(5, 10, 3)
    target = posed(source)
    fit = ops.solve_pose(source, target)
    moved = fit.scale[:, None, None] * source @ fit.rotation.transpose(1, 2)
    torch.testing.assert_close(moved + fit.translation[:, None], target)
    assert fit.residual.max() < 1e-12


def test_is_the_minimum():
    source, target, weights = (t.detach() for t in make_inputs("unrelated", batch=8))
    best = ops.solve_pose(source, target, weights)

    def error(scale, rotation, translation):
        moved = scale[:, None, None] * source @ rotation.transpose(1, 2) + translation[:, None]
        squares = (weights * (target - moved).square().sum(-1)).sum(1) / weights.sum(1)
        return squares.sqrt()

    torch.testing.assert_close(error(*best[:3]), best.residual)
    for seed in range(20):
        turn = rotation_from_angles(3 * normal(8, 3, seed=seed))
        assert (error(best.scale, turn @ best.rotation, best.translation) > best.residual).all()
        assert (error(best.scale * 1.01, *best[1:3]) > best.residual).all()


def assert_is_rotation(rotation: Tensor) -> None:
    eye = torch.eye(3, dtype=rotation.dtype).expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), eye, atol=1e-6, rtol=0)
    assert (torch.det(rotation) > 0).all()


def backward_is_finite(inputs: list[Tensor]) -> list[Tensor]:
    """Gradients through each result alone; all must be finite. Returns those of their sum."""
    grads = []
    for i in range(len(RESULTS)):
        leaves = [t.detach().requires_grad_() for t in inputs]
        out = ops.solve_pose(*leaves)[i]
        (out * torch.rand_like(out)).sum().backward()
        assert all(torch.isfinite(leaf.grad).all() for leaf in leaves), RESULTS[i]
        grads.append([leaf.grad for leaf in leaves])
    return [sum(parts) for parts in zip(*grads, strict=True)]


BOX = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])[None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "source, target",
    [
        pytest.param(BOX, BOX, id="three equal singular values"),
        pytest.param(BOX, BOX * MIRROR.float(), id="mirrored, equal singular values"),
        pytest.param(BOX, -BOX, id="point reflection"),
        pytest.param(BOX * torch.tensor([2.0, 1, 1]), BOX * MIRROR.float(), id="two equal"),
        pytest.param(BOX * torch.tensor([1.0, 1, 0]), BOX, id="planar square"),
        pytest.param(BOX * torch.tensor([1.0, 0, 0]), BOX, id="collinear"),
        pytest.param(BOX, BOX * torch.tensor([0.0, 0, 1]), id="collinear target"),
        pytest.param(BOX * torch.tensor([1.0, 0, 0]), -BOX, id="collinear, reversed"),
        pytest.param(BOX * torch.tensor([1.0, 1e-3, 1e-6]), BOX, id="nearly collinear"),
        pytest.param(BOX * 0 + 3, BOX, id="source without extent"),
        pytest.param(BOX, BOX * 0 + 3, id="target without extent"),
        pytest.param(BOX, BOX * torch.tensor([1.0, 1, 1]).roll(1) * 0, id="zeros"),
        pytest.param(BOX, BOX[:, torch.tensor([0, 1, 3, 2, 4, 5, 7, 6])], id="uncorrelated axis"),
        pytest.param(BOX * 1e-20, BOX, id="tiny source"),
        pytest.param(BOX * 1e18, BOX * 1e18, id="huge"),
        pytest.param(BOX[:, :1], BOX[:, 1:2], id="one point"),
        pytest.param(BOX[:, :2], BOX[:, 3:5], id="two points"),
    ],
)
def test_degenerate_points(source, target, dtype):
    inputs = [source.to(dtype), target.to(dtype), torch.rand(source.shape[:2], dtype=dtype) + 0.5]
    fit = ops.solve_pose(*inputs)
    assert all(torch.isfinite(part).all() for part in fit) and (fit.scale >= 0).all()
    assert_is_rotation(fit.rotation)
    backward_is_finite(inputs)


def test_nothing_given_means_identity():
    points = torch.rand(2, 5, 3)
    for inputs in ([points, points + 1, torch.zeros(2, 5)], [points[:, :0], points[:, :0]]):
        fit = ops.solve_pose(*inputs)
        assert (fit.scale == 1).all() and (fit.translation == 0).all() and (fit.residual == 0).all()
        assert torch.equal(fit.rotation, torch.eye(3).expand(2, 3, 3))
        assert all((grad == 0).all() for grad in backward_is_finite(inputs))


def test_one_point_is_a_translation():
    source, target = torch.rand(3, 1, 3), torch.rand(3, 1, 3)
    fit = ops.solve_pose(source, target)
    assert (fit.scale == 1).all() and torch.equal(fit.rotation, torch.eye(3).expand(3, 3, 3))
    torch.testing.assert_close(fit.translation, (target - source)[:, 0])
    assert (fit.residual == 0).all()


def test_coinciding_targets_shrink_to_a_point():
    fit = ops.solve_pose(torch.rand(1, 6, 3), torch.full((1, 6, 3), 0.7))
    assert fit.scale.item() == 0 and torch.equal(fit.rotation[0], torch.eye(3))
    torch.testing.assert_close(fit.translation, torch.full((1, 3), 0.7))


@pytest.mark.parametrize("angle", [0.0, 30.0, 179.99, 180.0])
def test_collinear_points_turn_as_little_as_possible(angle):
    line = torch.tensor([[0.0, 1.0, 3.0]]).double()[..., None] * torch.tensor([1.0, 0, 0]).double()
    turn = rotation_from_angles(torch.tensor([[0.0, 0.0, angle]]).double())
    fit = ops.solve_pose(line, line @ turn.transpose(1, 2))
    assert_is_rotation(fit.rotation)
    torch.testing.assert_close(fit.rotation @ line[0, 2], turn @ line[0, 2], atol=1e-9, rtol=0)
    trace = fit.rotation.diagonal(dim1=1, dim2=2).sum()
    assert trace.item() == pytest.approx(1 + 2 * torch.deg2rad(torch.tensor(angle)).cos().item())


def test_points_without_weight_are_ignored():
    source, target, weights = (t.detach() for t in make_inputs(count=8))
    weights[:, 5:] = 0
    expected = ops.solve_pose(source[:, :5], target[:, :5], weights[:, :5])
    for bad in (1e6, float("nan"), float("inf")):
        source[:, 5], target[:, 6] = bad, bad
        fit = ops.solve_pose(source, target, weights)
        for a, e in zip(fit, expected, strict=True):
            torch.testing.assert_close(a, e)
        grads = backward_is_finite([source, target, weights])
        assert (grads[0][:, 5:] == 0).all() and (grads[1][:, 5:] == 0).all()


def test_negative_weights_count_as_zero():
    source, target, weights = (t.detach() for t in make_inputs(count=8))
    weights[:, 5:] = -3
    fit = ops.solve_pose(source, target, weights)
    for a, e in zip(fit, ops.solve_pose(source, target, weights.clamp(min=0)), strict=True):
        assert torch.equal(a, e)
    assert (backward_is_finite([source, target, weights])[2][:, 5:] == 0).all()


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_stay_in_their_item(which, bad):
    if which == 2 and bad < 0:
        pytest.skip("a negative weight counts as zero")
    inputs = [t.detach() for t in make_inputs()]
    clean = ops.solve_pose(*inputs)
    inputs[which].view(4, 12, -1)[1, 3, 0] = bad
    leaves = [t.requires_grad_() for t in inputs]
    fit = ops.solve_pose(*leaves)
    sum(part.sum() for part in fit).backward()
    others = torch.tensor([0, 2, 3])
    for part, expected in zip(fit, clean, strict=True):
        assert torch.isnan(part[1]).all() and torch.equal(part[others], expected[others])
    for leaf in leaves:
        assert torch.isnan(leaf.grad[1]).all() and torch.isfinite(leaf.grad[others]).all()


def test_huge_float64_overflows_to_nan_and_returns():
    fit = ops.solve_pose(BOX.double() * 1e200, BOX.double())
    assert all(torch.isnan(part).all() for part in fit)


def test_threads():
    contract.assert_thread_counts_agree(ops.solve_pose, make_inputs(batch=100, count=20))


def test_strides():
    contract.assert_accepts_strides(ops.solve_pose, make_inputs())


@pytest.mark.parametrize("weighted", [True, False])
def test_opcheck(weighted):
    op = torch.ops.pgnface.solve_pose.default
    contract.assert_opcheck(op, make_inputs(weighted=weighted))


@pytest.mark.parametrize("weighted", [True, False])
def test_compile(weighted):
    contract.assert_compiles(ops.solve_pose, make_inputs(weighted=weighted))


@contract.needs_cuda
@pytest.mark.cuda
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch, count", [(1, 68), (300, 68), (33, 3), (5, 500)])
def test_cuda(case, batch, count):
    inputs = make_inputs(case, batch, count)
    contract.assert_cuda_matches_cpu(lambda *a: ops.solve_pose(*a)[:3], inputs)


@pytest.mark.parametrize("batch, count", [(0, 5), (0, 0), (3, 0)])
def test_empty(batch, count):
    fit = ops.solve_pose(torch.rand(batch, count, 3), torch.rand(batch, count, 3))
    assert [part.shape for part in fit] == [(batch,), (batch, 3, 3), (batch, 3), (batch,)]


def test_half_precision_is_promoted():
    fit = ops.solve_pose(*(t.detach().half() for t in make_inputs()))
    assert fit.rotation.dtype == torch.float32


shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4)


@given(source=shapes, target=shapes, weights=st.none() | shapes)
@settings(max_examples=60, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(source, target, weights):
    valid = (
        len(source) == 3
        and source[2] == 3
        and target == source
        and (weights is None or weights == source[:2])
    )
    arguments = [torch.rand(source), torch.rand(target)]
    arguments.append(None if weights is None else torch.rand(weights))
    if valid:
        assert ops.solve_pose(*arguments).scale.shape == (source[0],)
    else:
        with pytest.raises(ValueError, match=r"solve_pose: (source|target|weights) must"):
            ops.solve_pose(*arguments)


# Small integers make collinear, planar, coinciding and symmetric points likely.
@given(
    points=st.lists(
        st.tuples(*[st.integers(-2, 2)] * 6, st.integers(0, 2)), min_size=1, max_size=6
    ),
    size=st.sampled_from([1.0, 1e-6, 1e6]),
)
@settings(max_examples=150, deadline=None)
def test_any_points_give_a_rotation_and_finite_gradients(points, size):
    values = torch.tensor(points)[None] * size
    inputs = [values[..., :3], values[..., 3:6], values[..., 6]]
    fit = ops.solve_pose(*inputs)
    assert all(torch.isfinite(part).all() for part in fit)
    assert_is_rotation(fit.rotation)
    backward_is_finite(inputs)


def test_wrong_dtype():
    with pytest.raises(TypeError, match="source must be floating point"):
        ops.solve_pose(torch.zeros(1, 2, 3, dtype=torch.int64), torch.rand(1, 2, 3))
    with pytest.raises(TypeError, match="weights must be a tensor, got list"):
        ops.solve_pose(torch.rand(1, 2, 3), torch.rand(1, 2, 3), [1.0, 1.0])
