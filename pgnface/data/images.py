"""Reading images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class ImageError(UserError):
    """A file that should hold an image, but cannot be used as one."""


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image file as RGB ``(H, W, 3)`` uint8, turned as its EXIF orientation says.

    Raises:
        ImageError: naming the file, when it is missing, truncated or no image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """An encoded image as RGB ``(H, W, 3)`` uint8; ``name`` is what an error calls it.

    Raises:
        ImageError: when the bytes are truncated or no image.
    """
    if not data:
        raise ImageError(f"{name}: is empty")
    # OpenCV fills the missing part of a truncated JPEG with grey and says nothing.
    if data[:2] == b"\xff\xd8" and not _jpeg_ends(data):
        raise ImageError(f"{name}: is truncated")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f"{name}: is not an image that OpenCV can decode")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _jpeg_ends(data: bytes) -> bool:
    """Whether a JPEG has an end marker after the start of its scan.

    The segments before it are stepped over, as a thumbnail among them has an end marker of its own;
    what cameras append to the image may be long.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA:
            return data.find(b"\xff\xd9", place) >= 0
    return False


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """RGB ``(H, W, 3)`` uint8 as ``(3, H, W)`` float in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


def encode_jpeg(image: Tensor, quality: int) -> bytes:
    """``(3, H, W)`` in [0, 1] as a JPEG file."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return encoded.tobytes()


def list_images(root: str | Path) -> list[Path]:
    """Image files below a folder, sorted.

    Raises:
        FileNotFoundError: when the folder is missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: {root}")
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
