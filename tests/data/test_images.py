"""The decoder: every kind of pixel, and every kind of file that is none."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import encoded, noise
from vislearn.data.images import ImageError, ImageHeader, fit_image, image_header, read_image

LOSSLESS = ("PNG", "BMP", "WebP")


def png_header(width: int, height: int) -> bytes:
    """A PNG file that ends after its header."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body
    return start + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT"


def webp_header(kind: bytes, size: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + size + bytes(16)


@pytest.mark.parametrize("format", LOSSLESS)
def test_rgb_is_exact(format):
    pixels = noise(0)
    np.testing.assert_array_equal(read_image(encoded(pixels, format, lossless=True)), pixels)


def test_path_bytes_and_file_object_agree(tmp_path):
    pixels = noise(1, 5, 9)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(pixels))
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(read_image(source), pixels)
        assert image_header(source if not hasattr(source, "seek") else path) == ImageHeader(
            "PNG", 9, 5, "RGB"
        )


def test_extension_does_not_matter(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded(noise(1), "BMP"))
    assert image_header(path).format == "BMP"
    np.testing.assert_array_equal(read_image(path), noise(1))


def test_grey_to_one_and_to_three_channels():
    grey = noise(2, channels=1)
    data = encoded(grey)
    np.testing.assert_array_equal(read_image(data, channels=1)[..., 0], grey)
    np.testing.assert_array_equal(read_image(data, channels=None)[..., 0], grey)
    np.testing.assert_array_equal(read_image(data), np.repeat(grey[..., None], 3, -1))


def test_colour_to_grey_is_luma():
    pixels = noise(3)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(encoded(pixels), channels=1)[..., 0] - luma).max() <= 1
    assert read_image(encoded(pixels), channels=None).shape[-1] == 3


def test_transparency_is_white():
    rgba = noise(4, channels=4)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(read_image(encoded(rgba)) - expected).max() <= 1
    rgba[..., 3] = 0
    assert (read_image(encoded(rgba)) == 255).all()


def test_transparent_grey_stays_grey():
    grey_alpha = Image.fromarray(noise(5, channels=4)).convert("LA")
    file = io.BytesIO()
    grey_alpha.save(file, "PNG")
    grey, alpha = (np.asarray(band) / 255 for band in grey_alpha.split())
    found = read_image(file.getvalue(), channels=None)
    assert found.shape == (12, 12, 1)
    assert np.abs(found[..., 0] - 255 * (grey * alpha + 1 - alpha)).max() <= 1


def test_transparent_colour_of_palette():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=1)
    expected = [[[255, 0, 0], [255, 255, 255]], [[0, 0, 255], [255, 255, 255]]]
    np.testing.assert_array_equal(read_image(file.getvalue()), expected)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP"])
def test_palette_is_exact(format):
    image = Image.fromarray(noise(6, channels=1) % 7, "P")
    palette = noise(7, 7, 3, 1)
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, format)
    np.testing.assert_array_equal(read_image(file.getvalue()), palette[np.asarray(image)])
    assert read_image(file.getvalue(), channels=None).shape[-1] == 3


def test_grey_palette_counts_as_grey():
    image = Image.fromarray(noise(8, channels=1) % 4, "P")
    image.putpalette(np.repeat(np.array([9, 200, 30, 77], np.uint8), 3).tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    found = read_image(file.getvalue(), channels=None)
    np.testing.assert_array_equal(
        found[..., 0], np.array([9, 200, 30, 77], np.uint8)[np.asarray(image)]
    )


def test_one_bit_is_black_and_white():
    bits = noise(9, channels=1) > 127
    found = read_image(encoded(np.uint8(bits) * 255, mode="1"), channels=None)
    np.testing.assert_array_equal(found[..., 0], bits * 255)


def test_sixteen_bits_are_scaled_not_clipped():
    values = np.array([[0, 128, 129, 257], [32767, 32896, 65406, 65535]], np.uint16)
    found = read_image(encoded(values), channels=None)[..., 0]
    np.testing.assert_array_equal(found, np.rint(values / 257.0))
    assert found.max() == 255
    np.testing.assert_array_equal(read_image(encoded(values), channels=3)[..., 2], found)


def test_transparent_value_of_sixteen_bits():
    values = np.array([[0, 1000], [40000, 1000]], np.uint16)
    found = read_image(encoded(values, transparency=1000), channels=1)[..., 0]
    np.testing.assert_array_equal(found, [[0, 255], [156, 255]])


def test_cmyk_equals_rgb():
    # A smooth picture, which survives JPEG; 4:4:4 and quality 100 keep the rest small.
    ramp = np.linspace(0, 255, 16)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], 128.0), -1).astype(np.uint8)
    data = encoded(pixels, "JPEG", "CMYK", quality=100, subsampling=0)
    assert image_header(data).mode == "CMYK"
    assert np.abs(read_image(data).astype(int) - pixels).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(orientation):
    # What the eight orientations mean: how the stored picture is turned to be displayed.
    turn = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: np.rot90,
    }[orientation]
    stored = noise(10, 4, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, exif=exif)
    shown = turn(stored)
    np.testing.assert_array_equal(read_image(data), shown)
    header = image_header(data)
    assert (header.height, header.width) == shown.shape[:2]


@pytest.mark.parametrize("format", ["GIF", "PNG", "WebP"])
def test_first_frame_of_an_animation(format):
    first, second = (Image.new("RGB", (6, 5), colour) for colour in ("red", "blue"))
    file = io.BytesIO()
    first.save(file, format, save_all=True, append_images=[second], lossless=True)
    found = read_image(file.getvalue())
    assert found.shape == (5, 6, 3)
    assert (found == (255, 0, 0)).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "WebP"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_names_file_and_reason(tmp_path, format, part):
    data = encoded(noise(11, 64, 64), format)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=r"cut\.img: damaged image") as caught:
        read_image(path)
    assert caught.value.name == str(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"not an image at all\n", "a text"),
        ("Schlüssel\n".encode(), "a text"),
        (b"<svg xmlns=''/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\x01\x02\x03\x04", "unknown content .01 02 03 04."),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, content, found):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    for read in (read_image, image_header):
        with pytest.raises(ImageError, match=f"picture.png: found .*{found}"):
            read(path)


def test_size_is_checked_before_decoding():
    data = png_header(50_000, 50_000)
    for read in (read_image, image_header):
        with pytest.raises(ImageError, match=r"50000 x 50000 pixels .* 100,000,000"):
            read(data)
    # Within the limit the same file fails later, for the pixels that it does not have.
    with pytest.raises(ImageError, match="damaged"):
        read_image(png_header(50, 50))


def test_max_pixels_is_an_argument():
    data = encoded(noise(12, 10, 10))
    assert read_image(data, max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(ImageError, match="limit of 99"):
        read_image(data, max_pixels=99)
    # Beyond Pillow's own limit, which is not ours.
    assert image_header(png_header(20_000, 20_000), max_pixels=10**9).width == 20_000


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (b"VP8X", bytes(4) + (15_999).to_bytes(3, "little") + (14_999).to_bytes(3, "little")),
        (b"VP8L", b"\x2f" + (15_999 | 14_999 << 14).to_bytes(4, "little")),
        (b"VP8 ", bytes(6) + struct.pack("<HH", 16_000, 15_000)),
    ],
)
def test_webp_size_is_read_before_pillow_takes_memory(kind, size):
    with pytest.raises(ImageError, match="16000 x 15000 pixels"):
        read_image(webp_header(kind, size))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0"}])
def test_webp_header_of_real_files(options):
    data = encoded(noise(13, 7, 11), "WebP", **options)
    with pytest.raises(ImageError, match="11 x 7 pixels"):
        read_image(data, max_pixels=76)
    assert read_image(data, max_pixels=77).shape == (7, 11, 3)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "no.png")


def test_channels_are_checked():
    with pytest.raises(ValueError, match="channels=4"):
        read_image(encoded(noise(0)), channels=4)


def test_fit_is_the_identity_where_it_fits():
    image = noise(14, 8, 9)
    assert fit_image(image, (8, 9)) is image


def test_crop_takes_the_centre():
    # Shrunk by exactly two, then the middle: averages under the triangle filter are linear, so a
    # ramp keeps its slope away from the border.
    ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8), (20, 60))[..., None]
    found = fit_image(ramp, 10)
    assert found.shape == (10, 10, 1)
    centres = 20 + 2 * np.arange(10) + 0.5  # where the target's pixels lie in the source
    np.testing.assert_allclose(found[5, 1:-1, 0], 4 * centres[1:-1], atol=1)


def test_stretch_keeps_the_borders():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, :4] = 200
    found = fit_image(image, (4, 4), "stretch")
    assert found.shape == (4, 4, 3)
    assert (found[:, 0] == 200).all()
    assert (found[:, -1] == 0).all()


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[..., None]
    found = fit_image(stripes, 8)
    assert np.abs(found.astype(int) - 127).max() <= 20


def test_a_thin_strip_makes_no_huge_picture():
    strip = np.zeros((1, 1_000_000, 1), np.uint8)
    assert fit_image(strip, 224).shape == (224, 224, 1)  # 224 x 224,000,000 on the naive way


@pytest.mark.parametrize("size", [7, 224, (224, 160)])
def test_crop_takes_images_of_any_size(size):
    """58 x 100 to 224 once failed: the crop came out 1e-14 wider than the image."""
    shape = (*((size, size) if isinstance(size, int) else size), 1)
    for height in range(1, 400, 3):
        for width in (1, 100, 333, 427, 640):
            assert fit_image(np.zeros((height, width, 1), np.uint8), size).shape == shape


@pytest.mark.parametrize("size", [0, -1, 2.5, True, (8,), (8, 0), "8"])
def test_size_is_checked(size):
    with pytest.raises(ValueError, match="image size"):
        fit_image(noise(0), size)


def test_mode_and_image_are_checked():
    with pytest.raises(ValueError, match="mode='fit'"):
        fit_image(noise(0), 8, "fit")
    with pytest.raises(ValueError, match="float64"):
        fit_image(noise(0) / 255, 8)
