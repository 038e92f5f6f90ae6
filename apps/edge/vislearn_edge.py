"""Runs an exported package on a small device: images in, answers as JSON lines out.

One file that needs numpy, pillow and ai-edge-litert (opencv for cameras) and the folder of the
package, nothing of vislearn: copy both.

    python vislearn_edge.py PACKAGE photo.jpg more_photos/ --draw answers/
    python vislearn_edge.py PACKAGE --camera 0 --limit 100
    ffmpeg -i film.mp4 -f image2pipe -c:v mjpeg - | python vislearn_edge.py PACKAGE --stdin images
    find photos -name '*.png' | python vislearn_edge.py PACKAGE --stdin paths
    python vislearn_edge.py PACKAGE --benchmark 200 --threads 2

Each image gives a line on stdout, in the order of the images; one that can't be read gives
`{"image": ..., "error": ...}`, and the exit status is 1 at the end. How fast it went is told on
stderr. Boxes are in pixels of the image as it came, whatever size the network takes.
"""

import argparse
import hashlib
import io
import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

FORMAT_VERSION = 2  # of model.json
# Imported by name: else Pillow would load all of its 40 formats at the first image.
FORMATS = [
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        WebPImagePlugin.WebPImageFile,
    )
]
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
MAX_PIXELS = 100_000_000  # 300 MB when decoded
PAD_GREY = 114  # what fills the rest of an image that is fitted with "pad"
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit warns below ours.
# What Pillow raises for damaged files.
DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError),
    *(struct.error, zlib.error),
)

# Of classes and boxes; the same as in the pictures of vislearn.
COLOURS = ("#0072B2", "#D55E00", "#007A5A", "#A3487B", "#8A6100", "#2E6F95", "#5F6672")
SMALLEST_PICTURE = 320  # Smaller ones are enlarged before they are drawn on.


# The package.


class Package:
    """A package, checked and loaded.

    Attributes:
        task: Such as `"classification"`.
        classes: Names of the classes, in the order of their numbers.
        shape: `(height, width, channels)` of the input.
        resize: How images are fitted to it.
    """

    def __init__(self, folder: Path, format: str, threads: int):
        manifest = read_manifest(folder)
        self.task: str = manifest["task"]
        self.classes: list[str] = manifest["classes"]
        inputs = manifest["inputs"]
        if [item["name"] for item in inputs] != ["image"]:
            names = [item["name"] for item in inputs]
            raise ValueError(f"{folder} takes {names}, no images.")
        self.shape = tuple(inputs[0]["shape"][1:])
        self.resize: str = inputs[0]["resize"]
        self._batch: int = manifest.get("batch") or 1  # of a file that takes no other
        files = {item["format"]: item["file"] for item in manifest["formats"]}
        files = {name: file for name, file in files.items() if file.endswith(".tflite")}
        if format not in files:
            raise ValueError(f"--format {format!r} is not in {folder}: it holds {[*files]}.")
        for name in ("labels.txt", files[format]):
            check_hash(folder, name, manifest["files"])
        if (folder / "labels.txt").read_text(encoding="utf-8").splitlines() != self.classes:
            raise ValueError(f"{folder} is damaged: model.json and labels.txt disagree.")

        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(folder / files[format]), num_threads=threads)
        interpreter.allocate_tensors()
        self._run = interpreter.get_signature_runner("serving_default")

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs for one image, uint8 of `shape`, without the batch axis."""
        images = np.repeat(pixels[np.newaxis], self._batch, axis=0)
        return {name: value[0] for name, value in self._run(image=images).items()}


def read_manifest(folder: Path) -> dict:
    path = folder / "model.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no exported package: it holds no model.json.")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version={version!r}; this reads {FORMAT_VERSION}.")
    return manifest


def check_hash(folder: Path, name: str, files: dict) -> None:
    """Raises ValueError if a file is missing or not the one that was exported."""
    if not (folder / name).is_file():
        raise ValueError(f"{folder} is damaged: {name} is missing.")
    with open(folder / name, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != files.get(name, {}).get("sha256"):
        raise ValueError(f"{folder} is damaged: {name} has not the sha256 that model.json states.")


# From a file to the pixels that the network takes, as in training.


def decode(source, channels: int) -> Image.Image:
    """The image upright, 8 bits a channel, on white; grey for one channel, else RGB.

    Raises:
        One of `DAMAGE`: If it is no image, too large or damaged.
    """
    image = Image.open(source, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}.")
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits; 65535 / 255 = 257, rounded to nearest
        values = np.asarray(image).astype(np.uint32)
        values[values == image.info.get("transparency", -1)] = 65535
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


class Fitted:
    """An image brought to the size of the input, and the way back to its own pixels.

    Attributes:
        pixels: uint8 `(height, width, channels)`.
        box: `(left, top, right, bottom)` of the part of the image that was taken.
        inner: `(height, width)` of what it fills, from the upper left corner on.
    """

    def __init__(self, image: Image.Image, shape: tuple[int, int, int], mode: str):
        height, width, channels = shape
        self.box, self.inner = (0.0, 0.0, float(image.width), float(image.height)), (height, width)
        if mode == "crop":  # Cover all of the input, and keep the centre.
            scale = min(image.height / height, image.width / width)
            left = max((image.width - width * scale) / 2, 0.0)
            top = max((image.height - height * scale) / 2, 0.0)
            self.box = (left, top, image.width - left, image.height - top)
        elif mode == "pad":  # Keep all of the image, and fill the rest.
            scale = min(height / image.height, width / image.width)
            self.inner = max(round(image.height * scale), 1), max(round(image.width * scale), 1)
        fitted = image
        if image.size != (width, height):
            fitted = image.resize(self.inner[::-1], Image.Resampling.BILINEAR, box=self.box)
        self.pixels = np.full(shape, PAD_GREY, np.uint8)
        self.pixels[: self.inner[0], : self.inner[1]] = np.asarray(fitted).reshape(
            *self.inner, channels
        )

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes `(n, 4)`, x1, y1, x2, y2, from pixels of the input to those of the image."""
        left, top, right, bottom = self.box
        scale = np.array([(right - left) / self.inner[1], (bottom - top) / self.inner[0]] * 2)
        return boxes * scale + np.array([left, top, left, top])


# From outputs to words.


def describe(package: Package, outputs: dict, fitted: Fitted, top: int, score: float) -> dict:
    """The answer for one image as JSON values, each task in its own words."""
    names = package.classes
    if package.task == "classification":
        scores = outputs["scores"]
        best = np.argsort(-scores, kind="stable")[:top]
        ranked = {names[number]: float(scores[number]) for number in best}
        return {"label": names[best[0]], "score": float(scores[best[0]]), "top": ranked}
    if package.task == "detection":
        count = int(np.count_nonzero(outputs["scores"][: outputs["count"]] >= score))
        boxes = fitted.to_image(outputs["boxes"][:count]).round(2).tolist()
        rows = zip(outputs["classes"], outputs["scores"], boxes, strict=False)
        return {
            "objects": [
                {"label": names[number], "score": float(sure), "box": box}
                for number, sure, box in rows
            ]
        }
    if package.task == "semantic_segmentation":
        mask = outputs["mask"]
        shares = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        best = np.argsort(-shares, kind="stable")[:top]
        ranked = {names[number]: float(shares[number]) for number in best if shares[number] > 0}
        return {"shares": ranked, "mean_confidence": float(outputs["confidence"].mean())}
    if package.task == "regression":
        return {"values": dict(zip(names, outputs["values"].tolist(), strict=True))}
    return {name: value.tolist() for name, value in outputs.items()}


# Pictures with answers.


def draw(package: Package, image: Image.Image, fitted: Fitted, outputs: dict, answer: dict):
    """The image with boxes, the mask or the answer in words on it; small ones enlarged."""
    from PIL import ImageDraw, ImageFont

    scale = max(1, round(SMALLEST_PICTURE / max(image.size)))
    size = (image.width * scale, image.height * scale)
    picture = image.convert("RGB").resize(size, Image.Resampling.NEAREST)
    font = ImageFont.load_default(size=max(13, max(size) // 40))
    if package.task == "semantic_segmentation":
        lay_over(picture, package, outputs["mask"], fitted, scale)
    canvas = ImageDraw.Draw(picture)
    for found in reversed(answer.get("objects", [])):  # the surest on top
        colour = colour_of(package, found["label"])
        left, top, right, bottom = (value * scale for value in found["box"])
        canvas.rectangle((left, top, right, bottom), outline=colour, width=2)
        flag(canvas, left, top, f"{found['label']} {found['score']:.0%}", colour, font)
    for row, (text, colour) in enumerate(words(package, answer)):
        flag(canvas, 0, (row + 1) * 1.4 * font.size, text, colour, font)
    return picture


def words(package: Package, answer: dict) -> list[tuple[str, str]]:
    """What is written in the corner of the picture, each line with its colour."""
    if "top" in answer:
        return [(f"{answer['label']} {answer['score']:.0%}", COLOURS[0])]
    if "values" in answer:
        return [(f"{name} {value:.4g}", COLOURS[0]) for name, value in answer["values"].items()]
    shares = answer.get("shares", {}).items()
    return [(f"{name} {share:.0%}", colour_of(package, name)) for name, share in shares]


def colour_of(package: Package, name: str) -> str:
    """The colour of a class; black of the background, which is not coloured."""
    if name == "background":
        return "#1F2328"
    return COLOURS[package.classes.index(name) % len(COLOURS)]


def flag(canvas, left: float, bottom: float, text: str, colour: str, font) -> None:
    """White text on a coloured ground, whose lower left corner is given, inside the picture."""
    bottom = max(bottom, 1.4 * font.size)
    width = canvas.textlength(text, font=font)
    canvas.rectangle((left, bottom - 1.4 * font.size, left + width + 6, bottom), fill=colour)
    canvas.text((left + 3, bottom - 1.3 * font.size), text, fill="white", font=font)


def lay_over(picture, package: Package, mask: np.ndarray, fitted: Fitted, scale: int) -> None:
    """Colours the classes of a mask where they lie in the picture; "background" stays clear.

    A mask that is smaller than the input (valid convolutions) is that of its centre.
    """
    height, width = package.shape[:2]
    top, left = (height - mask.shape[0]) // 2, (width - mask.shape[1]) // 2
    whole = np.full((height, width), -1)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    whole = whole[: fitted.inner[0], : fitted.inner[1]]
    colours = np.zeros((*whole.shape, 4), np.uint8)
    for number, name in enumerate(package.classes):
        if name != "background":
            rgb = bytes.fromhex(colour_of(package, name)[1:])
            colours[whole == number] = (*rgb, 150)
    box = [round(value * scale) for value in fitted.box]
    size = (box[2] - box[0], box[3] - box[1])
    layer = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
    picture.paste(layer.convert("RGB"), (box[0], box[1]), layer.getchannel("A"))


# Where images come from: pairs of a name and what `decode` takes, or an image.


def from_paths(paths) -> Iterator[tuple[str, Path]]:
    """The files that are named, and the images in the folders that are named, sorted."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield str(path), path
        else:
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
            if not inside:
                raise ValueError(f"{path} holds no image; images end in {', '.join(SUFFIXES)}.")
            yield from ((str(file), file) for file in inside)


def from_camera(source: str) -> Iterator[tuple[str, Image.Image]]:
    """Frames of a camera by its number, or of a film by its path or address, until it ends."""
    try:
        import cv2
    except ImportError as error:
        raise ValueError("--camera needs opencv: pip install opencv-python-headless") from error
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        raise ValueError(f"--camera {source!r} can't be opened.")
    count = 0
    while (frame := capture.read())[0]:
        yield f"camera {source} frame {count}", Image.fromarray(frame[1][:, :, ::-1])  # from BGR
        count += 1
    capture.release()


def from_stream(stream: io.BufferedReader) -> Iterator[tuple[str, io.BytesIO]]:
    """The JPEG and PNG files that follow each other in a stream without anything between them."""
    count = 0
    while head := stream.read(2):
        if head == b"\xff\xd8":
            rest = rest_of_jpeg(stream)
        elif head == b"\x89P":
            rest = rest_of_png(stream)
        else:
            raise ValueError(f"stdin image {count} starts with {head.hex()}: no JPEG and no PNG.")
        yield f"stdin image {count}", io.BytesIO(head + rest)
        count += 1


def rest_of_jpeg(stream: io.BufferedReader) -> bytes:
    """What follows FFD8, up to the end of the image (ITU-T T.81, annex B) or of the stream.

    An FFD9 may also stand inside a segment, as in a thumbnail: segments are skipped by length.
    """
    data = bytearray()
    while chunk := stream.peek():
        place = chunk.find(b"\xff")
        data += stream.read(len(chunk) if place < 0 else place + 1)
        if place < 0:
            continue
        marker = stream.read(1)
        while marker == b"\xff":  # fill bytes
            data += marker
            marker = stream.read(1)
        data += marker
        if marker == b"\xd9":  # end of image
            break
        # FF00 is a byte of the entropy-coded data, D0 to D7 restart it: neither has a length.
        if marker and marker[0] != 0 and not 0xD0 <= marker[0] <= 0xD7:
            size = stream.read(2)
            data += size + stream.read(max(int.from_bytes(size) - 2, 0))
    return bytes(data)


def rest_of_png(stream: io.BufferedReader) -> bytes:
    """What follows the first two bytes, up to the end of the chunk IEND or of the stream."""
    data = stream.read(6)
    while len(head := stream.read(8)) == 8:  # length and type of a chunk
        data += head + stream.read(int.from_bytes(head[:4]) + 4)  # and its CRC
        if head[4:] == b"IEND":
            break
    return data


# The program.


def run(package: Package, images, options) -> int:
    """Prints a line an image; returns how many could not be read."""
    start, count, failed, model_seconds = time.perf_counter(), 0, 0, 0.0
    try:
        for name, source in images:
            if count == options.limit:
                break
            count += 1
            try:
                channels = package.shape[2]
                mode = "L" if channels == 1 else "RGB"
                is_image = isinstance(source, Image.Image)
                image = source.convert(mode) if is_image else decode(source, channels)
            except DAMAGE as error:
                failed += 1
                print(json.dumps({"image": name, "error": str(error)}), flush=True)
                continue
            fitted = Fitted(image, package.shape, package.resize)
            before = time.perf_counter()
            outputs = package(fitted.pixels)
            seconds = time.perf_counter() - before
            model_seconds += seconds
            answer = describe(package, outputs, fitted, options.top, options.score)
            line = {"image": name, **answer, "model_ms": round(1000 * seconds, 3)}
            print(json.dumps(line), flush=True)
            if options.draw:
                picture = draw(package, image, fitted, outputs, answer)
                picture.save(options.draw / f"{count - 1:05d}_{Path(name).stem}.png")
    except KeyboardInterrupt:
        pass  # The way to stop a camera.
    seconds, answered = time.perf_counter() - start, count - failed
    print(
        f"{answered} images in {seconds:.2f} s: {answered / seconds:.1f} images/s, "
        f"{1000 * model_seconds / max(answered, 1):.2f} ms each in the model; {failed} unreadable.",
        file=sys.stderr,
    )
    return failed


def benchmark(package: Package, repeats: int, load_seconds: float) -> dict:
    """Latency of the model alone, on random pixels, and what the process took."""
    pixels = np.random.default_rng(0).integers(0, 256, package.shape, dtype=np.uint8)
    package(pixels)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        package(pixels)
        times.append(1000 * (time.perf_counter() - start))
    return {
        "load_ms": round(1000 * load_seconds, 2),
        "p50_ms": round(float(np.percentile(times, 50)), 4),
        "p95_ms": round(float(np.percentile(times, 95)), 4),
        "images_per_second": round(1000 * repeats / sum(times), 1),
        "peak_memory_mb": peak_memory(),
    }


def peak_memory() -> float | None:
    """Largest resident memory of this process so far in MB (VmHWM); None where not on Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return None
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(kilobytes) * 1024 / 1e6, 1)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def parse(arguments: list[str] | None) -> argparse.Namespace:
    overview, _, details = __doc__.partition("\n")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(
        description=overview, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path, help="folder of the exported package")
    parser.add_argument("images", nargs="*", help="image files, and folders of them")
    parser.add_argument("--stdin", choices=("images", "paths"), help="what comes on stdin")
    parser.add_argument("--camera", help="number of a camera, or a film (needs opencv)")
    parser.add_argument("--format", default="litert", help="litert, litert_int8 ...")
    parser.add_argument("--threads", type=positive, default=min(4, cores or 1))
    parser.add_argument("--top", type=positive, default=3, help="answers an image")
    parser.add_argument("--score", type=float, default=0.3, help="least score of a detection")
    parser.add_argument("--draw", type=Path, help="folder for pictures with the answers")
    parser.add_argument("--limit", type=positive, help="stop after so many images")
    parser.add_argument("--benchmark", type=positive, help="only measure, with so many calls")
    options = parser.parse_args(arguments)
    chosen = [bool(options.images), bool(options.stdin), bool(options.camera)]
    if sum(chosen) + bool(options.benchmark) != 1:
        parser.error("name images, or one of --stdin, --camera and --benchmark")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        start = time.perf_counter()
        package = Package(options.package, options.format, options.threads)
        load_seconds = time.perf_counter() - start
        if options.benchmark:
            print(json.dumps(benchmark(package, options.benchmark, load_seconds)))
            return 0
        if options.draw:
            options.draw.mkdir(parents=True, exist_ok=True)
        if options.camera:
            images = from_camera(options.camera)
        elif options.stdin == "images":
            images = from_stream(sys.stdin.buffer)
        else:
            paths = (line.rstrip("\n") for line in sys.stdin) if options.stdin else options.images
            images = from_paths(paths)
        return 1 if run(package, images, options) else 0
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
