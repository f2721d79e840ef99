import pytest
import torch

from pgnface.training._storage import (
    checksum,
    new_folder,
    read_json,
    read_tensors,
    write_tensors,
    write_text,
)


def test_tensors_round_trip_with_views_and_metadata(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    tensors = {"a": base, "b": base.T, "c": base[1:], "d": torch.tensor(3)}
    write_tensors(tmp_path / "x.safetensors", tensors, {"k": "v"})
    read, metadata = read_tensors(tmp_path / "x.safetensors")
    assert metadata["k"] == "v"
    for name, value in tensors.items():
        torch.testing.assert_close(read[name], value, rtol=0, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.ones(100)})
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-40], "garbage": b"\xff" * 64, "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"x\.safetensors is damaged"):
        read_tensors(path)


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_tensors(tmp_path / "x.safetensors")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.ones(1)})
    before = checksum(path)
    with pytest.raises(Exception):  # noqa: B017 - whatever safetensors raises
        write_tensors(path, {"a": torch.ones(2)}, {"k": 3})
    assert checksum(path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "f") as folder:
        (folder / "a").write_text("1")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    for content in ("1", "2"):
        with new_folder(tmp_path / "f") as folder:
            (folder / "a").write_text(content)
    assert (tmp_path / "f" / "a").read_text() == "2"


def test_json_that_is_none(tmp_path):
    write_text(tmp_path / "a.json", "{")
    with pytest.raises(ValueError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
