import subprocess
import sys

import pytest
import torch

from pgnface.training._storage import read_tensors
from pgnface.training.checkpoint import latest_checkpoint
from pgnface.training.logging import read_history
from pgnface.training.trainer import Trainer

from .faces import LabelledSource, Mixed, tiny_config, tiny_network

_SCRIPT = """
import sys
from pathlib import Path
import torch
from tests.training.faces import LabelledSource, Mixed, tiny_config, tiny_network
from pgnface.training.trainer import Trainer

torch.set_num_threads(1)
source = Mixed(LabelledSource(), LabelledSource(annotated=True))
config = tiny_config(Path(sys.argv[1]), steps=3)
Trainer(config, quiet=True, network=tiny_network(), source=source, validation={}).run()
"""


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_passes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", str(script), str(tmp_path / "two")),
        ],
        check=True,
        timeout=120,
    )
    source = Mixed(LabelledSource(), LabelledSource(annotated=True))
    config = tiny_config(tmp_path / "one", steps=3, accumulate=2)
    network = tiny_network()
    Trainer(config, quiet=True, network=network, source=source, validation={}).run()
    one, two = (
        read_tensors(latest_checkpoint(tmp_path / name) / "network.safetensors")[0]
        for name in ("one", "two")
    )
    for name, _ in network.named_parameters():
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=2e-5, msg=name)
    assert [e["step"] for e in read_history(tmp_path / "two")] == [2, 3]
