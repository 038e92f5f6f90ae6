"""The program for devices: the same pixels and answers as vislearn's, without vislearn."""

import importlib.util
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vislearn
from vislearn.data.images import fit_image, plan_fit, read_image

pytestmark = pytest.mark.tensorflow

FOLDER = Path(__file__).parents[2] / "apps" / "edge"
PROGRAM = FOLDER / "vislearn_edge.py"


@pytest.fixture(scope="module")
def edge():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("vislearn_edge", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four pictures of several sizes and formats."""
    folder = tmp_path_factory.mktemp("photos")
    for index, name in enumerate(("a.png", "b.jpg", "c.webp", "deeper/d.PNG")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        noise(20 + 7 * index, 31 - 4 * index, index).save(path)
    return folder


def noise(width: int, height: int, seed: int, mode: str = "RGB") -> Image.Image:
    """A picture of coarse random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def run(*arguments, input=None):
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)], input=input, capture_output=True
    )


def encoded(picture: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def pictures():
    """Encoded pictures of every pixel type that is treated in a way of its own."""
    found = {
        mode: encoded(noise(9, 7, 1, mode), "PNG") for mode in ("RGB", "L", "1", "P", "RGBA", "LA")
    }
    clear = noise(9, 7, 2).convert("RGBA")
    clear.putalpha(noise(9, 7, 3, "L"))
    found["half clear"] = encoded(clear, "PNG")
    found["clear colour"] = encoded(noise(9, 7, 4, "P"), "PNG", transparency=3)
    deep = np.linspace(0, 65535, 63).reshape(7, 9).astype(np.uint16)
    found["16 bits"] = encoded(Image.fromarray(deep), "PNG")
    found["CMYK"] = encoded(noise(9, 7, 5, "CMYK"), "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    found["turned"] = encoded(noise(9, 7, 6), "JPEG", exif=turned)
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", pictures())
def test_decodes_as_vislearn_does(name, channels, edge):
    content = pictures()[name]
    found = np.asarray(edge.decode(io.BytesIO(content), channels))
    expected = read_image(content, channels=channels)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


@pytest.mark.parametrize("mode", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(40, 30), (30, 41), (8, 8), (16, 12), (300, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_fits_as_vislearn_does_and_back(size, mode, channels, edge):
    picture = noise(*size, seed=1, mode="L" if channels == 1 else "RGB")
    pixels = np.asarray(picture).reshape(size[1], size[0], channels)
    fitted = edge.Fitted(picture, (12, 16, channels), mode)
    np.testing.assert_array_equal(fitted.pixels, fit_image(pixels, (12, 16), mode))
    corners = np.array([[1.0, 2.0], [size[0] - 1.0, size[1] - 2.0]])
    moved = plan_fit(pixels.shape[:2], (12, 16), mode).points(corners)
    np.testing.assert_allclose(fitted.to_image(moved.reshape(1, 4)), corners.reshape(1, 4))


def test_answers_are_those_of_the_predictor(package, photos, tmp_path):
    result = run(package, photos, "--draw", tmp_path / "drawn", "--top", "2")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    paths = sorted(path for path in photos.rglob("*") if path.is_file())
    assert [line["image"] for line in lines] == [str(path) for path in paths]
    predictor = vislearn.load_predictor(package)
    for line, expected in zip(lines, predictor.predict_files(paths), strict=True):
        assert line["label"] == expected.label
        assert list(line["top"].items()) == [
            (label, pytest.approx(score, abs=1e-6)) for label, score in expected.top(2)
        ]
    assert b"4 images in" in result.stderr
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert len(drawn) == 4
    with Image.open(drawn[0]) as picture:
        assert max(picture.size) >= 300  # Small ones are enlarged.


def test_needs_the_package_and_three_libraries(package, photos, tmp_path):
    """Copied away from the project, without a path to it."""
    copies = [shutil.copy(PROGRAM, tmp_path), shutil.copytree(package, tmp_path / "package")]
    code = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'vislearn', 'keras', 'tensorflow', 'jax', 'onnxruntime', 'matplotlib', 'cv2'}\n"
        "assert not heavy & {*sys.modules}, heavy & {*sys.modules}\n"
    )
    arguments = [sys.executable, "-c", code, *copies, photos / "a.png"]
    result = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["label"] in "abcde"


def test_benchmark_says_how_fast_and_how_large(package):
    result = run(package, "--benchmark", 20, "--threads", 1)
    found = json.loads(result.stdout)
    assert 0 < found["p50_ms"] <= found["p95_ms"]
    assert found["images_per_second"] > 0
    if sys.platform == "linux":
        assert 20 < found["peak_memory_mb"] < 80


def photo_with_thumbnail() -> bytes:
    """A JPEG with a JPEG inside, whose end is not the end."""
    thumbnail = encoded(noise(8, 8, 1), "JPEG")
    segment = b"\xff\xe4" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    photo = encoded(noise(40, 30, 2), "JPEG")
    return photo[:2] + segment + photo[2:]


def test_stream_is_split_where_images_end(edge):
    images = [
        photo_with_thumbnail(),
        encoded(noise(30, 20, 3), "PNG"),
        encoded(noise(64, 64, 4), "JPEG", progressive=True),
        encoded(noise(64, 64, 5), "JPEG", restart_marker_blocks=2),
        encoded(noise(5, 5, 6), "PNG"),
    ]
    # A buffer that is smaller than the images, as that of a pipe.
    stream = io.BufferedReader(io.BytesIO(b"".join(images)), buffer_size=16)
    assert [file.getvalue() for _, file in edge.from_stream(stream)] == images
    cut = io.BufferedReader(io.BytesIO(images[1] + images[0][:100]))
    assert [file.getvalue() for _, file in edge.from_stream(cut)] == [images[1], images[0][:100]]
    with pytest.raises(ValueError, match="image 1 starts with 4749"):
        list(edge.from_stream(io.BufferedReader(io.BytesIO(images[1] + b"GIF89a"))))


def test_images_and_paths_from_stdin(package, photos):
    content = encoded(noise(30, 20, 1), "JPEG")
    result = run(package, "--stdin", "images", input=content + content[:-40] + content)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    # The damaged one swallows what follows it, up to the next end.
    assert lines[0]["image"] == "stdin image 0"
    assert lines[0]["label"] in "abcde"
    assert len(lines) == 2
    paths = f"{photos / 'a.png'}\n{photos / 'b.jpg'}\n"
    result = run(package, "--stdin", "paths", "--limit", 1, input=paths.encode())
    assert [json.loads(line)["image"] for line in result.stdout.splitlines()] == [
        str(photos / "a.png")
    ]


def test_what_is_no_image_is_told_and_the_rest_goes_on(package, photos, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes((photos / "b.jpg").read_bytes()[:300])
    result = run(package, tmp_path / "notes.png", tmp_path / "cut.jpg", photos / "a.png")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1
    assert ["error" in line for line in lines] == [True, True, False]
    assert b"1 images in" in result.stderr and b"2 unreadable" in result.stderr


def test_film(package, edge, tmp_path, capsys):
    cv2 = pytest.importorskip("cv2")
    film = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 24))
    for seed in range(3):
        writer.write(np.asarray(noise(32, 24, seed))[:, :, ::-1])
    writer.release()
    assert edge.main([str(package), "--camera", film]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image"] for line in lines] == [f"camera {film} frame {i}" for i in range(3)]
    [(_, frame), *_] = edge.from_camera(film)
    assert np.abs(np.asarray(frame, int) - np.asarray(noise(32, 24, 0))).mean() < 12  # RGB, not BGR


def test_wrong_arguments(package, edge, tmp_path, capsys):
    def error(*arguments) -> str:
        assert edge.main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    assert "holds no model.json" in error(tmp_path, "x.png")
    assert "--format 'litert_int8' is not in" in error(package, "x.png", "--format", "litert_int8")
    assert "holds no image" in error(package, package)
    damaged = shutil.copytree(package, tmp_path / "damaged")
    content = bytearray((damaged / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "model.tflite").write_bytes(content)
    assert "model.tflite has not the sha256" in error(damaged, "x.png")
    (damaged / "model.tflite").unlink()
    assert "model.tflite is missing" in error(damaged, "x.png")
    for wrong in ([], ["x.png", "--benchmark", "2"], ["x.png", "--stdin", "paths"]):
        with pytest.raises(SystemExit):
            edge.main([str(package), *wrong])


def of_task(task: str, classes=("background", "cat", "dog"), shape=(40, 40, 3)):
    """What stands for a package where outputs are made by hand."""
    return SimpleNamespace(task=task, classes=list(classes), shape=shape)


def test_boxes_are_in_pixels_of_the_picture(edge):
    picture = noise(80, 60, 1)
    package = of_task("detection")
    fitted = edge.Fitted(picture, package.shape, "pad")  # half the size, 30 of 40 rows filled
    outputs = {
        "boxes": np.array([[5, 10, 20, 25], [1, 2, 3, 4], [0, 0, 0, 0]], np.float32),
        "scores": np.array([0.9, 0.2, 0.0], np.float32),
        "classes": np.array([1, 2, -1], np.int32),
        "count": np.int32(2),
    }
    answer = edge.describe(package, outputs, fitted, top=3, score=0.3)
    assert answer == {
        "objects": [{"label": "cat", "score": pytest.approx(0.9), "box": [10, 20, 40, 50]}]
    }
    drawn = np.asarray(edge.draw(package, picture, fitted, outputs, answer))
    scale = drawn.shape[1] // 80
    colour = tuple(bytes.fromhex(edge.COLOURS[1][1:]))
    assert tuple(drawn[45 * scale, 10 * scale]) == colour  # the left edge of the box
    assert tuple(drawn[45 * scale, 39 * scale]) != colour


def test_masks_lie_where_they_were_found(edge):
    picture = Image.new("RGB", (80, 60), "white")
    package = of_task("semantic_segmentation")
    fitted = edge.Fitted(picture, package.shape, "crop")  # columns 10 to 70
    mask = np.zeros((20, 20), np.int32)  # of the centre of the input, 10 to 30
    mask[:10] = 2
    outputs = {"mask": mask, "confidence": np.full((20, 20), 0.75, np.float32)}
    answer = edge.describe(package, outputs, fitted, top=3, score=0.3)
    assert answer == {"shares": {"background": 0.5, "dog": 0.5}, "mean_confidence": 0.75}
    drawn = np.asarray(edge.draw(package, picture, fitted, outputs, {}))
    scale = drawn.shape[1] // 80
    coloured = np.any(drawn != 255, axis=-1)[::scale, ::scale]  # (60, 80)
    rows, columns = np.nonzero(coloured)
    # Input pixels 10..30 are 25..55 of the columns, and 10..20 are 15..30 of the rows.
    assert (columns.min(), columns.max() + 1) == (25, 55)
    assert (rows.min(), rows.max() + 1) == (15, 30)


def test_other_tasks(edge):
    fitted = edge.Fitted(noise(40, 40, 1), (40, 40, 3), "crop")
    values = {"values": np.array([1.5, -2.0], np.float32)}
    package = of_task("regression", ("width", "height"))
    answer = edge.describe(package, values, fitted, top=3, score=0.3)
    assert answer == {"values": {"width": 1.5, "height": -2.0}}
    assert edge.draw(package, noise(40, 40, 1), fitted, values, answer).size == (320, 320)
    codes = {"mean": np.array([0.5], np.float32)}
    assert edge.describe(of_task("generation"), codes, fitted, top=3, score=0.3) == {"mean": [0.5]}


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("cc")), reason="no C compiler")
@pytest.mark.skipif(sys.platform != "linux", reason="links the runtime of the Linux wheel")
def test_c_program(package, photos, tmp_path):
    """Builds, and gives the numbers that Python gives."""
    source = shutil.copytree(FOLDER / "c", tmp_path / "c")
    built = subprocess.run(
        ["make", "-B", f"PYTHON={sys.executable}", "CFLAGS=-O1 -Wall -Wextra -Werror"],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    pixels = [fit_image(read_image(path), 16) for path in sorted(photos.glob("*.*"))]
    stream = b"".join(b"P6\n# made here\n16 16\n255\n" + image.tobytes() for image in pixels)

    def call(input):
        return subprocess.run(
            [source / "vislearn_edge", package / "model.tflite", package / "labels.txt"],
            input=input,
            capture_output=True,
        )

    lines = [json.loads(line) for line in call(stream).stdout.splitlines()]
    predictor = vislearn.load_predictor(package)
    expected = predictor.predict(np.stack(pixels))
    np.testing.assert_allclose([line["scores"] for line in lines], expected["scores"], atol=1e-6)
    assert [line["label"] for line in lines] == [
        predictor.classes[number] for number in expected["class_id"]
    ]
    wrong = call(b"P5 8 8 255\n" + bytes(64))
    assert wrong.returncode == 1
    assert b"8 x 8 x 1 up to 255; the network takes 16 x 16 x 3" in wrong.stderr
