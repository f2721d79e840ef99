import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pgnface.training._storage import read_tensors
from pgnface.training.checkpoint import latest_checkpoint, load_network
from pgnface.training.failure import NonFiniteError
from pgnface.training.logging import read_history
from pgnface.training.trainer import Trainer, TrainingInterrupted

from .faces import LabelledSource, Mixed, tiny_config, tiny_network


def run(config, *sources, **arguments):
    source = Mixed(*(sources or (LabelledSource(),)))
    arguments = {"network": tiny_network(), "source": source, "validation": {}, **arguments}
    return Trainer(config, quiet=True, **arguments).run()


def weights(result) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in result.network.state_dict().items()}


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=0, msg=name)


class Stop(BaseException):
    """Stands in for a crash."""


class Crashing(Mixed):
    """Dies when a step is asked for."""

    def __init__(self, *sources, at: int):
        super().__init__(*sources)
        self.at = at

    def batch(self, step, size):
        if step == self.at:
            raise Stop
        return super().batch(step, size)


def test_training_lowers_the_loss_of_one_batch(tmp_path):
    class Constant(Mixed):
        def batch(self, step, size):
            return super().batch(0, size)

    config = tiny_config(tmp_path, steps=60, log_every=10, lr=3e-3, ema_decay=0.0)
    result = run(config, source=Constant(LabelledSource()))
    losses = [entry["loss"]["total"] for entry in result.history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    assert result.complete and result.step == 60


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_crashed_run_continues_bit_for_bit(tmp_path, accumulate, workers):
    config = tiny_config(tmp_path / "straight", accumulate=accumulate, workers=workers)
    straight = run(config)
    crashed = replace(config, output=tmp_path / "crashed", workers=0)
    with pytest.raises(Stop):
        run(crashed, source=Crashing(LabelledSource(), at=4 * accumulate))
    assert latest_checkpoint(tmp_path / "crashed").name == "step_00000003"
    resumed = run(replace(crashed, workers=workers))
    assert_same(weights(resumed), weights(straight))
    last = [latest_checkpoint(tmp_path / name) for name in ("straight", "crashed")]
    for part in ("network", "average", "optimizer"):
        a, b = (read_tensors(path / f"{part}.safetensors")[0] for path in last)
        assert_same(a, b)
    assert [e["step"] for e in resumed.history] == [e["step"] for e in straight.history]
    losses = [[e["loss"] for e in r.history if e["step"] == 6] for r in (resumed, straight)]
    assert losses[0] == losses[1]


def test_dropout_continues_bit_for_bit(tmp_path):
    def network():
        net = tiny_network()
        net.code_head = torch.nn.Sequential(net.code_head, torch.nn.Dropout(0.5))
        return net

    config = tiny_config(tmp_path / "straight")
    straight = run(config, network=network())
    crashed = replace(config, output=tmp_path / "crashed")
    with pytest.raises(Stop):
        run(crashed, network=network(), source=Crashing(LabelledSource(), at=4))
    torch.manual_seed(123)
    assert_same(weights(run(crashed, network=network())), weights(straight))


_KILLED = """
import sys, time
from pathlib import Path
import torch
from tests.training.faces import LabelledSource, Mixed, tiny_config, tiny_network
from pgnface.training.trainer import Trainer, TrainingInterrupted

torch.set_num_threads(1)

class Slow(Mixed):
    def batch(self, step, size):
        time.sleep(0.15)
        print(step, flush=True)
        return super().batch(step, size)

config = tiny_config(Path(sys.argv[1]), steps=40, checkpoint_every=2)
try:
    Trainer(config, quiet=True, network=tiny_network(), source=Slow(LabelledSource()),
            validation={}).run()
except TrainingInterrupted as stop:
    print(stop, flush=True)
    sys.exit(130)
"""


def interrupted_process(folder: Path, number: int, after: int) -> tuple[int, str]:
    """Run training in a process and send it a signal while it prepares step ``after``."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.strip() == str(after):
            process.send_signal(number)
            break
    rest = process.stdout.read()
    return process.wait(timeout=60), rest


@pytest.mark.slow
def test_kill_9_loses_only_the_steps_since_the_last_checkpoint(tmp_path):
    code, _ = interrupted_process(tmp_path / "run", signal.SIGKILL, after=5)
    assert code == -signal.SIGKILL
    assert latest_checkpoint(tmp_path / "run").name == "step_00000004"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        config = tiny_config(tmp_path / "run", steps=40, checkpoint_every=2, max_minutes=1e-9)
        resumed = run(config)
        straight = run(tiny_config(tmp_path / "straight", steps=40, max_minutes=None))
    finally:
        torch.set_num_threads(threads)
    assert resumed.step == 5 and not resumed.complete
    assert [e["step"] for e in resumed.history] == [2, 4, 5]
    assert straight.history[:2] == [
        {**e, **{k: v for k, v in s.items() if "seconds" in k}}
        for e, s in zip(resumed.history[:2], straight.history, strict=False)
    ]


def test_ctrl_c_finishes_the_step_and_saves(tmp_path):
    code, output = interrupted_process(tmp_path / "run", signal.SIGINT, after=3)
    assert code == 130
    assert latest_checkpoint(tmp_path / "run").name == "step_00000004"
    assert "stopped by SIGINT at step 4" in output


def test_signal_in_process_raises_after_saving(tmp_path):
    class Interrupting(Mixed):
        def batch(self, step, size):
            if step == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().batch(step, size)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingInterrupted, match="SIGTERM at step 2"):
        run(tiny_config(tmp_path), source=Interrupting(LabelledSource()))
    assert signal.getsignal(signal.SIGTERM) is before
    assert latest_checkpoint(tmp_path).name == "step_00000002"


def test_trains_in_another_thread_than_the_main_one(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tiny_config(tmp_path, steps=1))))
    thread.start()
    thread.join()
    assert results[0].complete


@pytest.mark.parametrize("where", ["image", "landmarks"])
def test_nan_stops_the_run_with_a_report(tmp_path, where):
    class Poisoned(Mixed):
        def batch(self, step, size):
            batches = super().batch(step, size)
            if step == 2:
                getattr(batches[0], where)[1] = float("nan")
            return batches

    with pytest.raises(NonFiniteError, match=r"step 2: .*not finite") as error:
        run(tiny_config(tmp_path), source=Poisoned(LabelledSource()))
    report = json.loads((error.value.report / "report.json").read_text())
    assert report["step"] == 2
    assert report["samples"] == [[f"person 2-{i}" for i in range(4)]]
    assert report["inputs_not_finite"] == [f"batch 0: {where}"]
    assert "total" in report["losses_not_finite"]
    saved, _ = read_tensors(error.value.report / "batch.safetensors")
    assert saved[f"0.{where}"].isnan().any()


def test_an_infinite_gradient_stops_the_run_and_leaves_the_weights(tmp_path):
    network = tiny_network()
    network.landmark_offsets.register_hook(lambda grad: grad * float("inf"))
    before = network.landmark_offsets.detach().clone()
    with pytest.raises(NonFiniteError, match=r"gradient is not finite in .*landmark_offsets"):
        run(tiny_config(tmp_path), LabelledSource(annotated=True), network=network)
    assert torch.equal(network.landmark_offsets, before)


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write to the folder .*file/run"):
        run(tiny_config(tmp_path / "file" / "run"))


def test_checkpoint_of_another_network_names_the_fields(tmp_path):
    run(tiny_config(tmp_path, steps=3))
    other = replace(tiny_config(tmp_path).network, code_size=32)
    with pytest.raises(ValueError, match=r"network\.code_size: 16 != 32"):
        run(tiny_config(tmp_path, network=other))


def test_damaged_checkpoint_names_the_file(tmp_path):
    run(tiny_config(tmp_path, steps=3))
    file = latest_checkpoint(tmp_path) / "network.safetensors"
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"network\.safetensors is damaged"):
        run(tiny_config(tmp_path))


def test_resume_none_refuses_and_a_path_continues_elsewhere(tmp_path):
    run(tiny_config(tmp_path / "a", steps=3))
    with pytest.raises(ValueError, match="already holds a run"):
        run(tiny_config(tmp_path / "a", resume="none"))
    result = run(tiny_config(tmp_path / "b", resume=str(tmp_path / "a")))
    assert result.step == 6
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        run(tiny_config(tmp_path / "c", resume=str(tmp_path / "nothing")))


def test_old_checkpoints_are_dropped_and_partial_ones_ignored(tmp_path):
    (tmp_path / "checkpoints" / ".step_00000009.1.partial").mkdir(parents=True)
    run(tiny_config(tmp_path, checkpoint_every=1, keep_checkpoints=2))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert [n for n in names if not n.startswith(".")] == ["step_00000005", "step_00000006"]


def test_validates_calibrates_and_keeps_the_best(tmp_path):
    sources = (LabelledSource(frames=2), LabelledSource(annotated=True))
    held_out = {"held_out": LabelledSource(), "annotated": LabelledSource(annotated=True)}
    config = tiny_config(tmp_path, validate_every=2)
    result = run(config, *sources, validation=held_out)
    assert set(result.validation["held_out"]) == {"nme", "posed_nme", "pose", "shape_mm"}
    assert set(result.validation["annotated"]) == {"nme", "posed_nme", "pose"}
    steps = [entry["step"] for entry in result.history if "validation" in entry]
    assert steps == [2, 4, 6]
    best, _ = read_tensors(tmp_path / "best.safetensors")
    offset = best["pose_offset"]
    assert not torch.equal(offset, torch.eye(3))
    torch.testing.assert_close(offset @ offset.T, torch.eye(3), atol=1e-5, rtol=0)


def test_a_run_folder_loads_as_a_network(tmp_path, monkeypatch):
    result = run(tiny_config(tmp_path, steps=3))
    network = load_network(tmp_path, model=tiny_network().model)
    assert_same(network.state_dict(), weights(result))
    assert not network.training
    (tmp_path / "final.safetensors").unlink()
    assert_same(load_network(tmp_path, model=tiny_network().model).state_dict(), weights(result))


def test_stops_by_the_clock_with_a_checkpoint(tmp_path):
    begin = time.monotonic()
    result = run(tiny_config(tmp_path, steps=10_000, max_minutes=1e-6))
    assert time.monotonic() - begin < 30
    assert not result.complete and result.step == 1
    assert latest_checkpoint(tmp_path).name == "step_00000001"
    assert (tmp_path / "final.safetensors").is_file()


def test_bfloat16_and_regressed_pose(tmp_path):
    config = tiny_config(tmp_path, precision="bf16", steps=2)
    config = replace(config, network=replace(config.network, pose="regressed"))
    result = run(config, network=tiny_network("regressed"))
    assert all(v == v for v in read_history(tmp_path)[-1]["loss"].values())
    assert result.complete


def test_tensorboard_logs_are_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tiny_config(tmp_path, tensorboard=True, steps=2, image_every=2))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss/total", "loss/landmarks", "run/lr"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"]
