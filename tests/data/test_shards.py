import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.shards import ShardSource, expand_shards

from .faces import SIZE, encoded, picture, write_shard


def members(count, seed=0, suffix=".jpg"):
    return {f"{i:04d}{suffix}": encoded(picture(seed + i), suffix) for i in range(count)}


def names_of(source, images=24):
    return source.batch(0, images).names


def test_every_image_of_every_shard_is_seen_once_an_epoch(tmp_path):
    for i, count in enumerate((3, 4, 2)):
        write_shard(tmp_path / f"f-{i}.tar", members(count, 10 * i))
    source = ShardSource(tmp_path / "f-{0..2}.tar", SIZE, frames=1)
    assert len(source) == 9
    first, second = source.batch(0, 9).names, source.batch(1, 9).names
    expected = {f"f-{i}.tar/{k:04d}" for i, n in enumerate((3, 4, 2)) for k in range(n)}
    assert set(first) == set(second) == expected
    assert first != second
    # A shard is finished before the next is begun.
    shards = [name.split("/")[0] for name in first]
    assert len([i for i in range(1, 9) if shards[i] != shards[i - 1]]) == 2


def test_frames_are_crops_of_one_image(tmp_path):
    write_shard(tmp_path / "a.tar", members(3, suffix=".png"))
    batch = ShardSource(tmp_path / "a.tar", SIZE, frames=3, extent=0.8).batch(0, 6)
    assert batch.image.shape == (2, 3, 3, SIZE, SIZE) and batch.same_image.all()
    sides = np.sqrt(np.linalg.det(batch.warp[..., :2])) * SIZE
    np.testing.assert_allclose(np.log(sides / 48), 0, atol=0.07 * 2.5 + 1e-5)


def test_other_members_are_passed_over(tmp_path):
    files = {
        "a.jpg": encoded(picture(1)),
        "a.json": b"{}",
        "notes.txt": b"nothing",
        "sub/b.PNG": encoded(picture(2), ".png"),
        "c.cls": b"3",
        "README": b"no suffix",
    }
    source = ShardSource(write_shard(tmp_path / "a.tar", files), SIZE)
    assert len(source) == 2 and source.skipped == {}
    assert set(names_of(source)) == {"a.tar/a", "a.tar/sub/b"}


def test_broken_images_are_replaced_and_counted(tmp_path):
    files = members(3)
    files["0001.jpg"] = files["0001.jpg"][:200]
    source = ShardSource(write_shard(tmp_path / "a.tar", files), SIZE)
    assert set(names_of(source)) == {"a.tar/0000", "a.tar/0002"}
    assert "truncated" in source.skipped["a.tar/0001"]


@pytest.mark.parametrize("inside", ["data", "header"])
def test_truncated_shard_is_used_up_to_the_damage(tmp_path, inside):
    path = write_shard(tmp_path / "a.tar", members(6))
    data = path.read_bytes()
    third = data.index(b"0003.jpg")
    path.write_bytes(data[: third + (800 if inside == "data" else 200)])
    source = ShardSource(path, SIZE)
    assert set(names_of(source)) <= {f"a.tar/{i:04d}" for i in range(4)}
    assert len(source) >= 3
    assert "damaged" in source.skipped["a.tar"]


def test_damaged_shards_leave_the_others(tmp_path):
    write_shard(tmp_path / "a.tar", members(2))
    (tmp_path / "b.tar").write_bytes(b"this is no tar file" * 100)
    (tmp_path / "c.tar").touch()
    write_shard(tmp_path / "d.tar", {"notes.txt": b"no image"})
    source = ShardSource(tmp_path / "*.tar", SIZE)
    assert len(source) == 2
    assert set(names_of(source)) == {"a.tar/0000", "a.tar/0001"}
    assert set(source.skipped) == {"b.tar", "c.tar", "d.tar"}
    assert "damaged" in source.skipped["b.tar"] and "no images" in source.skipped["d.tar"]


def test_no_usable_shard(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar")
    with pytest.raises(UserError, match=r"no images in the shards \(1 unusable\)"):
        ShardSource(tmp_path / "a.tar", SIZE)
    write_shard(tmp_path / "b.tar", {"a.jpg": b"no image"})
    with pytest.raises(UserError, match="none of 1 images can be used"):
        ShardSource(tmp_path / "b.tar", SIZE).batch(0, 2)
    with pytest.raises(UserError, match="frames must be at least 1"):
        ShardSource(tmp_path / "b.tar", SIZE, frames=0)


def test_patterns(tmp_path):
    for name in ("f-000.tar", "f-001.tar", "f-002.tar", "g.tar"):
        (tmp_path / name).touch()

    def found(pattern):
        return [path.name for path in expand_shards(tmp_path / pattern)]

    assert found("g.tar") == ["g.tar"]
    assert found("f-{000..002}.tar") == ["f-000.tar", "f-001.tar", "f-002.tar"]
    assert found("f-*.tar") == ["f-000.tar", "f-001.tar", "f-002.tar"]
    assert found("{g,f-001}.tar") == ["g.tar", "f-001.tar"]
    for pattern in ("h.tar", "f-{000..003}.tar", "h-*.tar"):
        with pytest.raises(FileNotFoundError, match="no shard matches"):
            expand_shards(tmp_path / pattern)


@pytest.mark.kit
def test_real_shard(kit):
    source = ShardSource(kit / "faces_unlabeled" / "faces-000000.tar", 48)
    assert len(source) == 3000 and source.skipped == {}
    assert source.batch(0, 4).image.shape == (2, 2, 3, 48, 48)
