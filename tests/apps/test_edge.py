"""The program for devices: the same pixels and answers as vislearn's, without vislearn."""

import functools
import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vislearn
from vislearn.data import images
from vislearn.data.images import ImageError, ImageTooLarge, fit_image, plan_fit, read_image

pytestmark = pytest.mark.tensorflow

FOLDER = Path(__file__).parents[2] / "apps" / "edge"
PROGRAM = FOLDER / "vislearn_edge.py"


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


@functools.cache
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
    found |= {format: encoded(noise(9, 7, 7), format) for format in ("BMP", "GIF", "WEBP")}
    found["lossless"] = encoded(noise(9, 7, 8), "WEBP", lossless=True)
    found["extended"] = encoded(clear, "WEBP")
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", pictures())
def test_decodes_as_vislearn_does(name, channels, edge):
    content = pictures()[name]
    found = np.asarray(edge.decode(content, channels))
    expected = read_image(content, channels=channels)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def webp(kind: bytes, size: bytes) -> bytes:
    """The head of a WebP file; bytes 20 to 30 are those of its first chunk."""
    return (
        b"RIFF" + bytes([100, 0, 0, 0]) + b"WEBP" + kind + bytes([10, 0, 0, 0]) + size + bytes(90)
    )


@functools.cache
def refused():
    """What is no image, and images that are damaged or too large."""
    large = bytearray(encoded(noise(9, 7, 1), "PNG"))
    large[16:24] = struct.pack(">II", 20_000, 5_001)
    large[29:33] = struct.pack(">I", zlib.crc32(large[12:29]))
    found = {
        "nothing": b"",
        "text": b"no picture",
        "TIFF": encoded(noise(9, 7, 1), "TIFF"),
        "RIFF": b"RIFF\0\0\0\0WAVEfmt ",
        "large PNG": bytes(large),
        "large BMP": struct.pack("<2sIIIIIIHHI24x", b"BM", 54, 0, 54, 40, 99_999, 9_999, 1, 24, 0),
        "large GIF": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(20),
        "large WebP": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383)),
        "large lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", (1 << 28) - 1) + bytes(5)),
        "large extended": webp(b"VP8X", bytes(4) + b"\xff\xff\0" * 2),
    }
    found |= {f"cut {name}": content[: len(content) // 2] for name, content in pictures().items()}
    return found


@pytest.mark.parametrize("name", refused())
def test_refuses_what_vislearn_refuses(name, edge):
    content = refused()[name]
    with pytest.raises(ImageError) as expected:
        read_image(content)
    with pytest.raises(images._DAMAGE) as found:
        edge.decode(content, 3)
    assert ("pixels are more than" in str(found.value)) == isinstance(expected.value, ImageTooLarge)


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


def test_images_and_paths_from_stdin(package, photos):
    content = encoded(noise(30, 20, 1), "JPEG")
    result = run(package, "--stdin", "images", input=content + content[:-40] + content)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["image"] for line in lines] == [f"stdin image {index}" for index in range(3)]
    assert lines[0]["label"] == lines[2]["label"]
    assert lines[1]["error"] == "the JPEG is cut off or damaged."
    assert result.returncode == 1
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
    assert b"1 images in" in result.stderr and b"2 failed" in result.stderr


def test_an_image_that_the_network_fails_on_is_told_and_the_rest_goes_on(edge, photos, capsys):
    answers = iter([RuntimeError("node 3 failed to invoke"), np.nan, 0.5])

    def network(image):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"values": np.array([[answer]], np.float32)}

    package = edge.Package.__new__(edge.Package)
    package.task, package.classes, package.resize = "regression", ["width"], "crop"
    package.shape, package._batch, package._run = (8, 8, 3), 1, network
    options = SimpleNamespace(limit=None, top=3, score=0.3, draw=None)
    assert edge.run(package, edge.from_paths([photos / "a.png"] * 3), options) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("error") for line in lines] == [
        "node 3 failed to invoke",
        "the output 'values' is not finite.",
        None,
    ]
    assert lines[2]["values"] == {"width": 0.5}


def test_a_camera_is_given_back(edge, monkeypatch):
    taken = []

    class Camera:
        def __init__(self, source):
            taken.append(source)

        def isOpened(self):
            return True

        def read(self):
            return True, np.zeros((4, 5, 3), np.uint8)

        def release(self):
            taken.remove(0)

    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(VideoCapture=Camera))
    frames = edge.from_camera("0")
    assert next(frames)[1].size == (5, 4)
    assert taken == [0]
    frames.close()  # As what --limit leaves is, when it is collected.
    assert taken == []


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


def test_what_holds_no_image_stops_nobody(package, photos):
    """Options may stand before the images, and an empty line names nothing."""
    some = photos / "a.png"
    named = run(package, "--limit", "2", package, some)
    listed = run(package, "--stdin", "paths", input=f"\r\n{package}\r\n{some}\r\n".encode())
    for done in (named, listed):
        wrong, right = map(json.loads, done.stdout.splitlines())
        assert done.returncode == 1
        assert "holds no image" in wrong["error"] and right["image"] == str(some)


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
def test_a_line_is_drawn_on(edge, size):
    """Of a mask on it there may be less than a pixel."""
    package = SimpleNamespace(task="semantic_segmentation", classes=["background", "dot"])
    package.shape = (8, 8, 3)
    image = Image.new("RGB", size)
    fitted = edge.Fitted(image, package.shape, "crop")
    mask = np.ones((8, 8), int)
    picture = edge.draw(package, image, fitted, {"mask": mask}, {"shares": {"dot": 1.0}})
    assert picture.size == size


def test_wrong_arguments(package, edge, tmp_path, capsys):
    def error(*arguments) -> str:
        assert edge.main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    assert "holds no model.json" in error(tmp_path, "x.png")
    assert "--format 'litert_int8' is not in" in error(package, "x.png", "--format", "litert_int8")
    damaged = shutil.copytree(package, tmp_path / "damaged")
    content = bytearray((damaged / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "model.tflite").write_bytes(content)
    assert "model.tflite has not the sha256" in error(damaged, "x.png")
    (damaged / "model.tflite").unlink()
    assert "model.tflite is missing" in error(damaged, "x.png")
    wrongs = ([], ["x.png", "--benchmark", "2"], ["x.png", "--stdin", "paths"])
    wrongs += (["x.png", "--threads", "1000"],)
    for wrong in (*wrongs, ["--camera", "0", "--stdin", "paths"]):
        with pytest.raises(SystemExit):
            edge.main([str(package), *wrong])


@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ([], [], "has format_version=None"),
        (["task"], None, "'task' is missing, or no str"),
        (["classes"], 3, "'classes' is missing, or no list"),
        (["inputs", 0], {}, "'name' is missing, or no str"),
        (["inputs", 0, "resize"], None, "'resize' is missing, or no str"),
        (["inputs", 0, "resize"], "fit", "resize 'fit'"),
        (["inputs", 0, "shape"], [None, 8], "shape (8,)"),
        (["formats", 0], "litert", "'format' is missing, or no str"),
        (["files", "labels.txt"], None, "'sha256' is missing, or no str"),
    ],
)
def test_a_damaged_manifest_is_told(part, wrong, message, package, edge, tmp_path, capsys):
    whole = [json.loads((package / "model.json").read_text())]
    holder, last = whole, 0
    for key in part:
        holder, last = holder[last], key
    holder[last] = wrong
    copy = shutil.copytree(package, tmp_path / "copy")
    (copy / "model.json").write_text(json.dumps(whole[0]))
    assert edge.main([str(copy), "x.png"]) == 2
    assert message in capsys.readouterr().err
    (copy / "model.json").write_text("{")
    assert edge.main([str(copy), "x.png"]) == 2
    assert "model.json is damaged: Expecting" in capsys.readouterr().err


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


needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("make") and shutil.which("cc")),
    reason="links the runtime of the Linux wheel, with a C compiler",
)


@pytest.fixture(scope="module")
def c_program(tmp_path_factory):
    source = shutil.copytree(FOLDER / "c", tmp_path_factory.mktemp("c"), dirs_exist_ok=True)
    built = subprocess.run(
        ["make", "-B", f"PYTHON={sys.executable}", "CFLAGS=-O1 -Wall -Wextra -Werror"],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return source / "vislearn_edge"


def ppm(pixels: np.ndarray) -> bytes:
    return b"P6\n# made here\n16 16\n255\n" + pixels.tobytes()


@needs_compiler
def test_c_program(c_program, package, photos):
    """Gives the numbers that Python gives."""
    pixels = [fit_image(read_image(path), 16) for path in sorted(photos.glob("*.*"))]

    def call(input):
        files = [package / "model.tflite", package / "labels.txt"]
        return subprocess.run([c_program, *files], input=input, capture_output=True)

    lines = [json.loads(line) for line in call(b"".join(map(ppm, pixels))).stdout.splitlines()]
    predictor = vislearn.load_predictor(package)
    expected = predictor.predict(np.stack(pixels))
    np.testing.assert_allclose([line["scores"] for line in lines], expected["scores"], atol=1e-6)
    assert [line["label"] for line in lines] == [
        predictor.classes[number] for number in expected["class_id"]
    ]
    wrong = call(b"P5 8 8 255\n" + bytes(64))
    assert wrong.returncode == 1
    assert b"8 x 8 x 1 up to 255; the network takes 16 x 16 x 3" in wrong.stderr


@needs_compiler
def test_c_program_writes_json_whatever_comes(c_program, package, tmp_path):
    """Labels that are odd, scores that are NaN, and a class number of another type."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(package / "model.tflite"))
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if b"head" in tensor.name and data is not None:
            model.buffers[tensor.buffer].data = np.full(len(data) // 4, np.nan, "<f4").view("u1")
    flatbuffer_utils.write_model(model, str(tmp_path / "nan.tflite"))
    first, second = model.signatureDefs[0].outputs
    first.name, second.name = second.name, first.name
    flatbuffer_utils.write_model(model, str(tmp_path / "swapped.tflite"))
    labels = [f'{letter}\t"\a\\{"long" * 500}' for letter in "abcde"]
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in labels))

    def call(model):
        input = ppm(np.zeros((16, 16, 3), np.uint8))
        arguments = [c_program, model, tmp_path / "labels.txt"]
        return subprocess.run(arguments, input=input, capture_output=True)

    line = json.loads(call(package / "model.tflite").stdout)
    assert line["label"] == labels[line["class_id"][0]]
    line = json.loads(call(tmp_path / "nan.tflite").stdout)
    assert line["scores"] == [None] * 5
    assert b"class_id is no int32" in call(tmp_path / "swapped.tflite").stderr
