import json
import math

import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.experiments import load_study, run_study
from pgnface.experiments.study import merge, study_names
from pgnface.experiments.summary import Estimate, summarize, to_markdown

STUDY = """
title: Two small networks
base:
  model: {model}
  network: {{image_size: 32, map_size: 8, code_size: 16}}
  data: [{{source: {{kind: synthetic, frames: 1, seed: 5}}}}]
  validation: [{{kind: synthetic, frames: 1, seed: 9}}]
  steps: 2
  batch_size: 2
  validation_images: 4
  validate_every: 0
  tensorboard: false
arms:
  solved: {{}}
  regressed: {{network: {{pose: regressed}}, steps: 3}}
"""


@pytest.fixture
def study_file(tmp_path):
    from pgnface.morphable import save_model
    from tests.models import tiny_model

    save_model(tiny_model(), tmp_path / "tiny.npz")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(model=tmp_path / "tiny.npz"))
    return path


def test_shipped_studies_are_readable():
    assert study_names() == ["pose", "supervision"]
    pose, supervision = load_study("pose"), load_study("supervision", {"steps": 7})
    assert [arm.network.pose for arm in pose.arms.values()] == ["solved", "regressed", "regressed"]
    arms = list(supervision.arms.values())
    assert [len(arm.data) for arm in arms] == [1, 2, 3] and {arm.steps for arm in arms} == {7}
    # As many labelled pictures a step in each.
    assert {arm.batch_size // len(arm.data) for arm in arms} == {12}
    assert {arm.data[0] for arm in arms} == {arms[0].data[0]}


def test_seeds_reach_weights_and_data(study_file, tmp_path):
    study = load_study(study_file)
    run = study.seeded("regressed", 3, tmp_path / "out")
    assert (run.seed, run.data[0].source.seed, run.validation[0].seed) == (3, 8, 9)
    assert run.steps == 3 and run.network.pose == "regressed"


def test_merge():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(base, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert merge(base, {"a": None})["a"] is None
    assert base["a"]["c"] == [1, 2]


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("title: a", UserError, "a study has arms, base, title"),
        ("[", UserError, "not valid YAML"),
        ("{title: a, base: {}, arms: {x: {stepz: 1}}}", ValueError, "arm 'x': .*stepz"),
    ],
)
def test_wrong_files(tmp_path, text, error, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load_study(path)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="one of pose, supervision"):
        load_study("nothing.yaml")


def test_estimate():
    """The interval of three values by the table of Student's t: 4.303 at two degrees of freedom."""
    estimate = Estimate.of([1.0, 2.0, 3.0])
    assert estimate.mean == 2
    assert estimate.half_width == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert str(Estimate.of([1.5])) == "1.50"


def test_differences_are_taken_within_a_seed():
    """Seeds differ far more than arms do, which the paired difference does not see."""
    rng = np.random.default_rng(0)
    level = rng.normal(5, 2, 4)
    results = {
        arm: {s: {"people": {"nme": level[s] + gain + 0.01 * s}} for s in range(4)}
        for arm, gain in (("plain", 0.0), ("better", -0.5))
    }
    results["better"].pop(3)  # not there yet
    summary = summarize("Which", results)
    assert summary.seeds == (0, 1, 2)
    difference = summary.differences["people"]["nme"]["better"]
    assert difference.mean == pytest.approx(-0.5) and difference.half_width < 1e-6
    assert summary.errors["people"]["nme"]["plain"].half_width > 1
    assert "**-0.50 ± 0.00**" in to_markdown(summary)


def test_a_study_runs_and_goes_on_where_it_stopped(study_file, tmp_path, monkeypatch):
    study = load_study(study_file)
    output = tmp_path / "out"
    first = run_study(study, output, seeds=[0])
    assert first.errors["synthetic"]["nme"]["solved"].half_width is None
    assert set(json.loads((output / "summary.json").read_text())["errors"]) == {"synthetic"}

    trained = []
    import pgnface.training

    real = pgnface.training.train
    monkeypatch.setattr(
        pgnface.training, "train", lambda config: trained.append(config.output) or real(config)
    )
    second = run_study(study, output, seeds=[0, 1])
    assert [path.relative_to(output).as_posix() for path in trained] == ["solved/1", "regressed/1"]
    assert second.seeds == (0, 1)
    assert second.errors["synthetic"]["nme"]["solved"].values[0] == pytest.approx(
        first.errors["synthetic"]["nme"]["solved"].mean
    )
    with pytest.raises(UserError, match="another configuration"):
        run_study(load_study(study_file, {"steps": 4}), output, seeds=[0])


def test_seeds(study_file, tmp_path):
    for seeds in ([], [1, 1]):
        with pytest.raises(ValueError, match="different numbers"):
            run_study(load_study(study_file), tmp_path / "out", seeds)
