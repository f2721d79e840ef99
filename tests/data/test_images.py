import io

import numpy as np
import pytest
import torch
from PIL import Image

from pgnface.data.images import (
    ImageError,
    decode_image,
    list_images,
    read_image,
    to_tensor,
)

from .faces import encoded, picture


def saved(image, format, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_reads_what_was_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(picture(), suffix))
    image = read_image(path)
    assert image.dtype == np.uint8 and np.array_equal(image, picture())


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_reads_lossy_files(tmp_path, suffix):
    image = decode_image(encoded(picture(), suffix), "a")
    assert np.abs(image.astype(int) - picture()).mean() < 3


def test_grey_alpha_and_sixteen_bits_become_rgb_bytes():
    image = picture()
    grey = decode_image(encoded(image[..., 0], ".png"), "grey")
    assert np.array_equal(grey, np.repeat(image[..., :1], 3, 2))
    with_alpha = np.concatenate((image, image[..., :1]), 2)
    assert np.array_equal(decode_image(encoded(with_alpha, ".png"), "alpha"), image)
    deep = decode_image(encoded(image.astype(np.uint16) * 257, ".png"), "deep")
    assert deep.dtype == np.uint8 and np.abs(deep.astype(int) - image).max() <= 1


def test_exif_orientation_is_followed():
    image = picture(height=40, width=60)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to view
    upright = decode_image(saved(image, "JPEG", exif=exif, quality=95), "a")
    assert upright.shape == (60, 40, 3)
    assert np.abs(upright.astype(int) - np.rot90(image, -1)).mean() < 4


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.995])
def test_truncated_jpeg(part, progressive):
    data = saved(picture(), "JPEG", progressive=progressive)
    with pytest.raises(ImageError, match=r"^a\.jpg: is "):
        decode_image(data[: int(part * len(data))], "a.jpg")


def test_thumbnail_does_not_hide_a_truncated_jpeg():
    thumbnail = encoded(picture(height=8, width=8))
    data = encoded(picture())
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + segment + data[2:]
    assert decode_image(whole, "a").shape == (60, 60, 3)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(whole[:-40], "a")


@pytest.mark.parametrize("trailing", [b"\0", b"x" * 10_000])
def test_jpeg_with_trailing_bytes(trailing):
    data = encoded(picture())
    assert np.array_equal(decode_image(data + trailing, "a"), decode_image(data, "a"))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
@pytest.mark.parametrize("part", [0.3, 0.97])
def test_other_truncated_files(suffix, part):
    data = encoded(picture(), suffix)
    with pytest.raises(ImageError, match=r"^b: is not an image"):
        decode_image(data[: int(part * len(data))], "b")


@pytest.mark.parametrize(
    "data", [b"", b"no image at all", b"\xff\xd8", b"\xff\xd8\xff\xda\0\2\xff\xd9"]
)
def test_what_is_no_image(data):
    with pytest.raises(ImageError, match=r"^c: is "):
        decode_image(data, "c")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: cannot be read"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_to_tensor():
    image = picture(height=5, width=7)
    tensor = to_tensor(image)
    assert tensor.shape == (3, 5, 7) and tensor.dtype == torch.float32
    assert tensor[2, 4, 1] == image[4, 1, 2] / np.float32(255)
    assert to_tensor(image[:, ::-1]).shape == (3, 5, 7)


def test_list_images(tmp_path):
    (tmp_path / "deeper").mkdir()
    for name in ("b.JPG", "a.png", "deeper/c.jpeg", "notes.txt", "a.mat"):
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in list_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "deeper/c.jpeg"]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_images(tmp_path / "none")
