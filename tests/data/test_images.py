"""Pictures of every awkward kind come out as a viewer shows them, or are refused with the reason."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image

from basereward.images import ImageError, check_image, image_key, image_size, load_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def quarters() -> Image.Image:
    """40 x 20: red and green above, blue and white below."""
    image = Image.new("RGB", (40, 20))
    for index, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        image.paste(colour, (index % 2 * 20, index // 2 * 10, index % 2 * 20 + 20, index // 2 * 10 + 10))
    return image


def corners(image: Image.Image) -> list[str]:
    """Names of the colours at 5 pixels from the corners, by rows."""
    w, h = image.size
    names = {RED: "red", GREEN: "green", BLUE: "blue", WHITE: "white"}
    found = (np.array(image.getpixel((x, y))) for y in (4, h - 5) for x in (4, w - 5))
    return [next(name for colour, name in names.items() if np.abs(pixel - colour).max() < 40) for pixel in found]


# The EXIF standard: which corner of the scene the first stored row and column are.
ORIENTATIONS = {
    1: ["red", "green", "blue", "white"],
    2: ["green", "red", "white", "blue"],
    3: ["white", "blue", "green", "red"],
    4: ["blue", "white", "red", "green"],
    5: ["red", "blue", "green", "white"],
    6: ["blue", "red", "white", "green"],
    7: ["white", "green", "blue", "red"],
    8: ["green", "white", "red", "blue"],
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(quarters(), format, exif=exif)
    image = load_image(data)
    assert corners(image) == ORIENTATIONS[orientation]
    assert image.size == image_size(data) == check_image(data) == ((40, 20) if orientation < 5 else (20, 40))


def test_a_broken_exif_block_is_ignored():
    data = encoded(quarters(), "JPEG", exif=b"Exif\x00\x00garbage")
    assert corners(load_image(data)) == ORIENTATIONS[1] and image_size(data) == (40, 20)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format):
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), format)
    assert np.abs(np.array(load_image(data).getpixel((8, 8))) - RED).max() < 3


def test_transparent_pixels_show_the_white_page():
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([*RED, *BLUE])
    palette.putpixel((1, 1), 1)
    assert [load_image(encoded(palette, "PNG", transparency=0)).getpixel(xy) for xy in [(0, 0), (1, 1)]] == [WHITE, BLUE]
    assert load_image(encoded(Image.new("RGB", (8, 8), RED), "PNG", transparency=RED)).getpixel((0, 0)) == WHITE
    assert load_image(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "PNG")).getpixel((0, 0)) == (255, 204, 204)
    assert load_image(encoded(Image.new("LA", (8, 8), (0, 51)), "PNG")).getpixel((0, 0)) == (204, 204, 204)


def test_16_bit_grey_keeps_its_range():
    values = np.array([[0, 256, 32768, 65535]] * 4, dtype=np.uint16)
    assert np.asarray(load_image(encoded(Image.fromarray(values), "PNG")))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_an_animation_is_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    assert load_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == RED


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pil_images_of_every_mode(mode):
    given = Image.new("RGB", (6, 4), WHITE).convert(mode) if mode not in ("LAB", "HSV") else Image.new(mode, (6, 4))
    image = load_image(given)
    assert image.mode == "RGB" and image.size == image_size(given) == check_image(given) == (6, 4) and given.mode == mode


def test_a_path_and_its_bytes_are_the_same_pixels(tmp_path):
    path = tmp_path / "a.png"
    noise(9, 7).save(path)
    assert np.array_equal(load_image(str(path)), load_image(path.read_bytes())) and image_key(path) == str(path)


def test_the_given_image_is_left_alone():
    given = quarters()
    load_image(given).paste(BLUE, (0, 0, 40, 20))
    assert corners(given) == ORIENTATIONS[1]


def refused(ref: object) -> ImageError:
    errors = []
    for function in (load_image, check_image):
        with pytest.raises(ImageError) as caught:
            function(ref)
        errors.append(caught.value)
    assert errors[0].reason == errors[1].reason and all(error.advice for error in errors)
    return errors[0]


@pytest.mark.parametrize(("size", "ok"), [((1, 200), True), ((200, 1), True), ((1, 201), False), ((4000, 1), False)])
def test_the_aspect_ratio_the_model_takes(size, ok):
    data = encoded(Image.new("L", size), "PNG")
    if ok:
        assert load_image(data).size == size
        return
    error = refused(data)
    assert error.reason == "image too elongated" and "200" in str(error) and f"{size[0]} x {size[1]}" in str(error)
    with pytest.raises(ImageError, match="too elongated"):
        image_size(data)


def test_the_limit_is_that_of_the_models_own_resize():
    smart_resize = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    smart_resize(200, 1)
    with pytest.raises(ValueError, match="aspect ratio"):
        smart_resize(201, 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_truncated_files(format, share):
    data = encoded(noise(300, 200), format)
    assert refused(data[: int(len(data) * share)]).reason in ("truncated image", "not an image")


def test_files_that_are_not_images(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("<html>not found</html>")
    assert refused(str(text)).reason == "not an image" and "<html>" in str(refused(str(text)))
    assert refused(b"").reason == "not an image"
    assert refused(str(tmp_path / "none.png")).reason == "image missing" and "none.png" in str(
        refused(str(tmp_path / "none.png"))
    )
    assert refused(str(tmp_path)).reason == "image missing"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11, 20])
def test_decompression_bombs_are_refused_before_decoding(monkeypatch, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    error = refused(encoded(Image.new("1", (side, side)), "PNG"))
    assert error.reason == "image too large" and "100 pixels" in str(error)


def test_floating_point_pixels_are_refused():
    assert refused(encoded(Image.new("F", (4, 4)), "TIFF")).reason == "unusual pixels"


def test_size_reads_the_head_alone(tmp_path):
    path = tmp_path / "cut.jpg"
    data = encoded(noise(400, 300), "JPEG")
    path.write_bytes(data[:2000])
    assert image_size(path) == (400, 300)


@pytest.mark.skipif(not hasattr(os, "listdir") or not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_files_are_closed_again(tmp_path):
    path = tmp_path / "a.png"
    noise(9, 7).save(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        load_image(path), image_size(path), check_image(path)
    assert len(os.listdir("/proc/self/fd")) == before
