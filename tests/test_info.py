import json

from pgnface import __version__, cli
from pgnface.info import collect_info, format_info


def test_info_names_versions_processor_and_cuda():
    info = collect_info()
    assert info["pgnface"] == __version__ and info["kernels"] == "loaded"
    assert info["threads"] >= 1 and info["cores"] >= 1 and info["cpu"]
    assert isinstance(info["cuda_built"], bool)
    text = format_info(info)
    assert f"pgnface       {__version__}" in text and "CUDA device" in text


def test_info_says_why_no_device_is_seen():
    info = {**collect_info(), "cuda_device": None, "cuda_torch": None}
    assert "none seen (torch is a CPU build)" in format_info(info)
    assert "Some GPU" in format_info({**info, "cuda_device": "Some GPU"})


def test_info_command_as_json(capsys):
    cli.main(["info", "--json"])
    assert json.loads(capsys.readouterr().out) == collect_info()
