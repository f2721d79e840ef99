"""``pgnface data`` as a person calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pgnface.cli import main
from tests.data.faces import picture, write_faces
from tests.data.prepare.inputs import contents, write_photo


@pytest.fixture
def photos(tmp_path):
    for i in range(2):
        write_photo(tmp_path / f"in/{i}.jpg", i)
    write_photo(tmp_path / "in/wall.jpg", image=picture(0))
    return tmp_path / "in"


def test_prepare_and_verify(photos, tmp_path, capsys):
    out = str(tmp_path / "out")
    main(["data", "prepare", str(photos), "--output", out, "--detector", "haar"])
    said = capsys.readouterr().out
    assert said.startswith("2 faces of 2 images in 1 shard: ") and "left out: no face 1: " in said
    main(["data", "verify", out])
    assert capsys.readouterr().out == "shards that are as they were written: 1\n"
    main(["data", "prepare", str(photos), "--output", out, "--detector", "haar", "--json"])
    assert json.loads(capsys.readouterr().out)["counts"]["faces"] == 2


@pytest.mark.parametrize(
    "options, code, message",
    [
        (["--min-side", "900"], 3, "no face was found"),
        (["--size", "0"], 2, "size must be at least 1"),
        (["--detector", "dlib"], 2, "dlib is not installed"),
    ],
)
def test_errors_are_one_line(photos, tmp_path, capsys, monkeypatch, options, code, message):
    monkeypatch.setitem(sys.modules, "dlib", None)
    arguments = ["data", "prepare", str(photos), "--output", str(tmp_path / "out"), "--json"]
    detector = [] if "--detector" in options else ["--detector", "haar"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, *detector, *options])
    said = capsys.readouterr().err.strip()
    assert stop.value.code == code and message in said and "\n" not in said


def heed_interrupts():
    """Where tests run in the background of a shell, Ctrl-C is ignored, also by what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_preparation_stops_at_once_and_continues(photos, tmp_path):
    # So many that none of today's machines is done before the signal comes.
    write_photo(photos / "many/0.jpg", image=picture(0, 300, 300))
    for i in range(1, 200):
        os.link(photos / "many/0.jpg", photos / f"many/{i}.jpg")
    command = [sys.executable, "-m", "pgnface", "data", "prepare", str(photos), "--json"]
    command += ["--detector", "none", "--workers", "2", "--shard-size", "20"]
    whole = tmp_path / "whole"
    out = tmp_path / "out"
    with subprocess.Popen(
        [*command, "--output", str(out)], stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    ) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("*.tar")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        error = process.stderr.read().decode()
    assert process.returncode == 130 and error.strip() == "pgnface: stopped"
    assert not (out / "manifest.json").exists()
    for folder in (out, whole):
        main([*command[3:], "--output", str(folder)])
    assert contents(out) == contents(whole)


def test_profile(tmp_path, capsys):
    write_faces(tmp_path / "in", 2)
    (tmp_path / "in/face001.mat").write_bytes(b"damaged")
    out = str(tmp_path / "out")
    main(["data", "profile", str(tmp_path / "in"), "--output", out, "--yaws", "15", "80"])
    said = capsys.readouterr().out
    assert said == (
        f"turned faces written to {out}: 1\nthere already: 0, turns beyond the limits: 1\n"
        f"left out: 1: {out}/skipped.jsonl\n"
    )
    main(["data", "profile", str(tmp_path / "in"), "--output", out, "--yaws", "15", "80", "--json"])
    assert json.loads(capsys.readouterr().out)["kept"] == 1
