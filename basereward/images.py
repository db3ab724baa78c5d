"""An image reference (path, `archive::member`, bytes, PIL image) -> its RGB pixels as a viewer would show them, or the reason why not.

EXIF orientation is applied, transparency lies on white, CMYK and 16-bit grey become 8-bit RGB, an animation is its first frame.
Colour profiles are not applied.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from basereward import archives
from basereward.errors import DataError
from basereward.problems import shown
from basereward.records import image_key

__all__ = [
    "MAX_ASPECT_RATIO", "ImageError", "ImageFile", "check_image", "hold", "image_key", "image_size", "load_image", "trust_images",
]  # fmt: skip

# The resize of the Qwen2-VL family raises above this ratio of the longer to the shorter side.
MAX_ASPECT_RATIO = 200
_EXIF_ORIENTATION = 0x0112
_trusted: dict[str, tuple[int, int]] = {}
# A PIL image may still be a file that is read at its first use, and two comparisons may share it.
_one_at_a_time = threading.Lock()


class ImageError(DataError):
    """An image that cannot be used.

    Attributes:
        reason: "image missing", "not an image", "truncated image", "image too elongated", "image too large", "unusual pixels" or
            "broken archive".
        expected, found, advice: the three parts of the message.
    """

    def __init__(self, reason: str, expected: str, found: str, advice: str) -> None:
        self.reason, self.expected, self.found, self.advice = reason, expected, found, advice
        super().__init__(f"{reason}: expected {expected}; found {found}; {advice}")


class ImageFile(bytes):
    """The bytes of an image file in memory, with the name under which an error speaks of it."""

    name = ""


def hold(ref: object) -> object:
    """An image of which nothing has to be read from a disk again: a file becomes an `ImageFile`, all else is in memory already.

    Raises:
        ImageError: there is no such file.
    """
    if isinstance(ref, bytes | bytearray | Image.Image):
        return ref
    held = ImageFile(read_bytes(ref))
    held.name = _name(ref)
    return held


def load_image(ref: object) -> Image.Image:
    """All pixels of an image, mode RGB, in the orientation in which it is displayed.

    Args:
        ref: a path, `archive::member`, the bytes of an image file, or a PIL image (left unchanged).

    Raises:
        ImageError: with the reason.
    """
    with _opened(ref) as image:
        turned = _transposed(image)
        with _decoding(ref):
            image.load()
            pixels = _to_rgb(image, ref)
        pixels = image.copy() if pixels is ref else pixels
        return pixels.transpose(turned) if turned is not None else pixels


def image_size(ref: object) -> tuple[int, int]:
    """(width, height) in pixels as displayed; reads the head of the file only.

    Raises:
        ImageError: missing, not an image, too large or too elongated; a file cut off later is not noticed.
    """
    with _opened(ref) as image:
        return _displayed_size(image)


def trust_images(sizes: Mapping[str, tuple[int, int]]) -> None:
    """Takes the word of an earlier start for pictures that it decoded to their ends: `check_image` decodes all but these."""
    _trusted.clear()
    _trusted.update(sizes)


def check_image(ref: object) -> tuple[int, int]:
    """`image_size`, after decoding the file to its end: JPEG at 1/8 of its size, which is faster and reads as many bytes.

    Raises:
        ImageError: for everything that `load_image` would raise for.
    """
    if isinstance(ref, str) and ref in _trusted:
        return _trusted[ref]
    with _opened(ref) as image:
        size = _displayed_size(image)
        if not isinstance(ref, Image.Image):
            with _decoding(ref):
                image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()
        if image.mode == "F":
            raise _unusual(image, ref)
        return size


def read_bytes(ref: object) -> bytes:
    """The bytes of an image file, from wherever it lies.

    Args:
        ref: a path, `archive::member`, or the bytes themselves.

    Raises:
        ImageError: there is no such file.
    """
    source = _file(ref)
    try:
        with open(source, "rb") if isinstance(source, str | os.PathLike) else source as file:
            return file.read()
    except OSError as error:
        raise _missing(ref, error) from None


@contextmanager
def _opened(ref: object) -> Iterator[Image.Image]:
    """The image with its header read, its shape checked, its pixels not decoded; closed afterwards if it was opened here."""
    if isinstance(ref, Image.Image):
        _check_shape(ref.size, "a PIL image")
        with _one_at_a_time:
            yield ref
        return
    with _open_file(ref) as image:
        _check_shape(image.size, _name(ref))
        yield image


def _file(ref: object) -> BinaryIO | str | os.PathLike:
    """What Pillow opens: a member of an archive and bytes as a file object, a path as it is."""
    if isinstance(ref, bytes | bytearray):
        return io.BytesIO(ref)
    inside = archives.split_reference(ref)
    if inside is None:
        return ref
    try:
        return archives.open_member(*inside)
    except archives.ArchiveError as error:
        reason = "image missing" if isinstance(error, archives.NoMember) else "broken archive"
        raise ImageError(reason, error.expected, error.found, error.advice) from None


def _open_file(ref: object) -> Image.Image:
    try:
        return Image.open(_file(ref))
    except UnidentifiedImageError:
        raise ImageError("not an image", "an image file", f"{_name(ref)}, {_content(ref)}", "replace the file") from None
    except Image.DecompressionBombError:
        raise _too_large(_name(ref)) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise _missing(ref, error) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError("not an image", "an image file", f"{_name(ref)} ({error})", "replace the file") from None


def _missing(ref: object, error: OSError) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError("image missing", "the file to be there", _name(ref), "correct the path or set image_root")
    return ImageError("image missing", "a readable file", f"{_name(ref)} ({error.strerror})", "correct the path")


@contextmanager
def _decoding(ref: object) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(
            "truncated image", "pixels to the end of the file", f"{_name(ref)} ({error})", "fetch the file again"
        ) from None


def _check_shape(size: tuple[int, int], name: str) -> None:
    width, height = size
    if max(size) > MAX_ASPECT_RATIO * min(size):
        expected = f"an aspect ratio of at most {MAX_ASPECT_RATIO}, beyond which the model's resize refuses a picture"
        found = f"{name}, {width} x {height}"
        raise ImageError("image too elongated", expected, found, "crop or pad the picture")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise _too_large(f"{name}, {width} x {height}")


def _too_large(found: str) -> ImageError:
    expected = f"at most {Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's limit against decompression bombs"
    return ImageError("image too large", expected, found, "make the picture smaller")


def _transposed(image: Image.Image) -> Image.Transpose | None:
    """What turns the stored pixels into the displayed ones.

    The base class reads what the header holds; PNG's own `getexif` would decode the pixels first. Pillow turns TIFF itself.
    """
    if image.format == "TIFF":
        return None
    try:
        orientation = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):  # a broken EXIF block leaves the picture as it is stored
        return None
    return _TRANSPOSITIONS.get(orientation)


_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90}


def _displayed_size(image: Image.Image) -> tuple[int, int]:
    return (image.height, image.width) if _transposed(image) in _SIDEWAYS else image.size


def _to_rgb(image: Image.Image, ref: object) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise _unusual(image, ref)
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, layer).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Modes I;16 and I keep 16 bits of grey; Pillow's own conversion cuts everything above 255 to white."""
    values = np.asarray(image).astype(np.int64)
    values = values >> 8 if image.mode.startswith("I;16") or values.max(initial=0) > 255 else values
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def _unusual(image: Image.Image, ref: object) -> ImageError:
    expected = "8 or 16 bits per channel"
    return ImageError("unusual pixels", expected, f"{_name(ref)} with floating-point pixels", "save it with 8 bits per channel")


def _name(ref: object) -> str:
    if isinstance(ref, Image.Image):
        return "a PIL image"
    if isinstance(ref, bytes | bytearray):
        return getattr(ref, "name", "") or f"{len(ref)} bytes"
    return os.fspath(ref)


def _content(ref: object) -> str:
    """How the content begins, which tells a text file or an HTML error page from a broken picture."""
    source = _file(ref)
    with open(source, "rb") if isinstance(source, str | os.PathLike) else source as file:
        start = file.read(24)
    return (
        f"which begins with {shown(start.decode('ascii'))}"
        if start.isascii() and start
        else f"whose first bytes are {start.hex(' ', 4) or 'none'}"
    )
