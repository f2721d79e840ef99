import os
import subprocess
import sys

import pytest

from pgnface import _lazy, cli

VERBS = ["info", "demo", "evaluate", "reconstruct", "export", "bench"]
HEAVY = ("torch", "cv2", "scipy", "matplotlib", "trimesh", "accelerate")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pgnface", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_help_lists_the_verbs():
    result = run("--help")
    assert result.returncode == 0 and all(verb in result.stdout for verb in VERBS)


def test_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, pgnface.cli, pgnface.evaluation, pgnface.data, pgnface.training\n"
        "import pgnface.bench\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main([verb, "--help"])
    assert exit.value.code == 0 and verb in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["info", "--colour"]])
def test_wrong_use_exits_with_2(arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    assert exit.value.code == 2


def fail_with(monkeypatch, error):
    def run(self):
        raise error

    monkeypatch.setattr(cli.Info, "run", run)


@pytest.mark.parametrize(
    "error, code",
    [
        (ValueError("no such\nthing"), 2),
        (FileNotFoundError(2, "No such file or directory", "x.jpg"), 2),
        (cli.NothingFoundError("no face in any photo"), 3),
        (FloatingPointError("the loss is not finite"), 1),
    ],
)
def test_user_errors_are_one_line(monkeypatch, capsys, error, code):
    fail_with(monkeypatch, error)
    with pytest.raises(SystemExit) as exit:
        cli.main(["info"])
    captured = capsys.readouterr()
    assert exit.value.code == code and captured.out == ""
    assert captured.err.startswith("pgnface: error: ") and captured.err.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch):
    fail_with(monkeypatch, ValueError("no such thing"))
    monkeypatch.setenv("PGNFACE_DEBUG", "1")
    with pytest.raises(ValueError, match="no such thing"):
        cli.main(["info"])


def test_interrupt_exits_with_130(monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    with pytest.raises(SystemExit) as exit:
        cli.main(["info"])
    assert exit.value.code == 130


def test_bugs_are_not_hidden(monkeypatch):
    fail_with(monkeypatch, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["info"])


def test_lazy_exports():
    getattribute, directory, names = _lazy.lazy_exports(
        __name__, {"mean": "statistics", "statistics": "statistics"}
    )
    import statistics

    assert getattribute("mean") is statistics.mean and getattribute("statistics") is statistics
    assert "mean" in directory() and names == ["mean", "statistics"]
    with pytest.raises(AttributeError, match="has no attribute 'median'"):
        getattribute("median")
