import multiprocessing
import os
import signal

import pytest
import torch

from pgnface.training.loader import step_loader

from .faces import LabelledSource, Mixed


class Skipping(Mixed):
    def batch(self, step, size):
        self.skipped[f"file {step // 2}"] = "broken"
        return super().batch(step, size)


@pytest.mark.parametrize("workers", [0, 2])
def test_steps_come_in_order_and_skipped_files_once(workers):
    source = Skipping(LabelledSource())
    data = list(step_loader(source, 2, range(3, 11, 2), workers))
    assert [d.batches[0].names[0] for d in data] == [f"person {i}-0" for i in (3, 5, 7, 9)]
    assert [list(d.skipped) for d in data] == [["file 1"], ["file 2"], ["file 3"], ["file 4"]]
    expected = LabelledSource().batch(5, 2)
    assert torch.equal(data[1].batches[0].image, expected.image)


def test_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    next(step_loader(Mixed(LabelledSource()), 2, range(1)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_signal_to_every_process_leaves_the_workers_at_work():
    steps = step_loader(Mixed(LabelledSource()), 2, range(20), workers=1)
    next(steps)
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert len(list(steps)) == 19
    worker.join(10)
    assert not worker.is_alive()
