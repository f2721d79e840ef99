"""Contact sheets of face models."""

import numpy as np
import pytest
from PIL import Image

from pgnface.cli import main
from pgnface.morphable import save_model
from pgnface.render.model_sheet import model_sheet
from tests.models import tiny_model
from tests.morphable.test_skinning import skinned

TILE, COLUMNS = 64, 6


def tiles(sheet: np.ndarray) -> np.ndarray:
    rows = sheet.reshape(-1, TILE, COLUMNS, TILE, 3).swapaxes(1, 2)
    return rows.reshape(-1, TILE, TILE, 3).astype(int)


def covered(tile: np.ndarray) -> np.ndarray:
    """Where the face is, apart from the title's line."""
    return (np.abs(tile - tile[0, 0]) > 20).any(-1)[: TILE - 12]


@pytest.fixture(scope="module")
def sheet() -> np.ndarray:
    return model_sheet(tiny_model(), tile=TILE, modes=2, deviations=3)


def test_rows_of_mean_modes_and_expressions(sheet):
    assert sheet.dtype == np.uint8 and sheet.shape == (3 * TILE, COLUMNS * TILE, 3)
    filled = [bool(covered(tile).any()) for tile in tiles(sheet)]
    assert filled == [True] * 6 + [True] * 4 + [False] * 2 + [True] * 3 + [False] * 3


def test_the_mean_is_centred_and_turns(sheet):
    front, _, side = tiles(sheet)[:3]
    rows, columns = np.nonzero(covered(front))
    assert abs(columns.mean() - (TILE - 1) / 2) < 1.5 and rows.min() > 0
    # The nose of a face that is turned to yaw 90 is at one side, and the face is narrower.
    assert np.ptp(np.nonzero(covered(side))[1]) < np.ptp(columns)


def test_modes_go_either_way(sheet):
    narrow, wide = tiles(sheet)[6:8]  # the first mode is the width
    mean = covered(tiles(sheet)[0]).sum()
    assert covered(narrow).sum() < mean < covered(wide).sum()


def test_landmarks_are_drawn_in_green_and_squares_follow_the_chart(sheet):
    _, _, _, landmarks, squares, chart = tiles(sheet)[:6]
    for tile in (landmarks, chart):
        assert ((tile[..., 1] - tile[..., 0]) > 60).sum() > 68
    half = covered(squares)
    left, right = squares[: TILE - 12, : TILE // 2], squares[: TILE - 12, TILE // 2 :]
    assert left[half[:, : TILE // 2]][:, 0].mean() < right[half[:, TILE // 2 :]][:, 0].mean()


def test_joints_have_a_row_of_their_own():
    sheet = model_sheet(skinned(), tile=TILE, modes=1, expressions=1)
    assert sheet.shape[0] == 4 * TILE
    assert [bool(covered(tile).any()) for tile in tiles(sheet)[-6:]] == [True] * 5 + [False]


def test_the_command_writes_a_picture(tmp_path, capsys):
    save_model(tiny_model(), tmp_path / "tiny.npz")
    output = tmp_path / "new" / "sheet.png"
    main(["model", "render", str(tmp_path / "tiny.npz"), "-o", str(output), "--tile", "48"])
    assert Image.open(output).size == (6 * 48, 4 * 48)
    assert "288 x 192" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-o", "sheet.gif"], "ends in .png"), (["--tile", "3"], "at least 32 pixels, got 3")],
)
def test_wrong_options_are_named(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    save_model(tiny_model(), tmp_path / "tiny.npz")
    with pytest.raises(SystemExit) as stop:
        main(["model", "render", "tiny.npz", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
