import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgnface.data.batch import FaceBatch
from pgnface.data.mixture import Mixture
from pgnface.data.source import subject_count


class Plain:
    """A source of black images named after the step."""

    def __init__(self, frames=1, name="plain"):
        self.frames = frames
        self.skipped = {}
        self.name = name

    def batch(self, step, size):
        count = subject_count(size, self.frames)
        names = [f"{self.name} {step}"] * count
        return FaceBatch.create(torch.zeros(count, self.frames, 3, 4, 4), names=names)


sources = st.lists(st.tuples(st.integers(1, 4), st.floats(0.01, 100)), min_size=1, max_size=6).map(
    lambda pairs: [(Plain(frames), weight) for frames, weight in pairs]
)


@given(sources, st.integers(1, 200))
def test_shares_follow_the_weights(pairs, size):
    mixture = Mixture(pairs)
    sizes = mixture.sizes(size)
    total = sum(weight for _, weight in pairs)
    for images, (source, weight) in zip(sizes, pairs, strict=True):
        assert images >= source.frames and images % source.frames == 0
        share = size * weight / total
        assert images <= max(share + source.frames, source.frames)
        assert images > share - source.frames
    # At most the subjects that every source gets come on top.
    assert sum(sizes) <= size + sum(source.frames for source, _ in pairs)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=5), st.integers(100, 300))
def test_single_images_fill_the_budget(weights, size):
    assert sum(Mixture([(Plain(), weight) for weight in weights]).sizes(size)) == size


def test_shares_are_rounded_by_largest_remainder():
    assert Mixture([(Plain(), 1), (Plain(), 1), (Plain(), 1.2)]).sizes(8) == [3, 2, 3]
    assert Mixture([(Plain(2), 3), (Plain(), 1)]).sizes(8) == [6, 2]
    assert Mixture([(Plain(), 1000), (Plain(4), 1)]).sizes(8) == [7, 4]


def test_batches_come_from_each_source_for_the_step():
    mixture = Mixture([(Plain(name="a"), 1), (Plain(2, name="b"), 1)])
    batches = mixture.batch(7, 8)
    assert [batch.names[0] for batch in batches] == ["a 7", "b 7"]
    assert [batch.images.shape[0] for batch in batches] == [4, 4]


def test_skipped_files_of_all_sources():
    a, b = Plain(), Plain()
    mixture = Mixture([(a, 1), (b, 1)])
    a.skipped["x"], b.skipped["y"] = "broken", "empty"
    assert mixture.skipped == {"x": "broken", "y": "empty"}


@pytest.mark.parametrize("weight", [0, -1, float("nan")])
def test_refuses_weights_that_are_not_positive(weight):
    with pytest.raises(ValueError, match=r"weights must be positive, got .* for Plain"):
        Mixture([(Plain(), weight)])


def test_refuses_no_source():
    with pytest.raises(ValueError, match="must not be empty"):
        Mixture([])
