"""Runs an exported package on a small device: images in, answers as JSON lines out.

One file that needs numpy, pillow and ai-edge-litert (opencv for cameras) and the folder of the
package, nothing of vislearn: copy both.

    python vislearn_edge.py PACKAGE photo.jpg more_photos/ --draw answers/
    python vislearn_edge.py PACKAGE --camera 0 --limit 100
    ffmpeg -i film.mp4 -f image2pipe -c:v mjpeg - | python vislearn_edge.py PACKAGE --stdin images
    find photos -name '*.png' | python vislearn_edge.py PACKAGE --stdin paths
    python vislearn_edge.py PACKAGE --benchmark 200 --threads 2

Each image gives a line on stdout, in the order of the images; one that has no answer gives
`{"image": ..., "error": ...}`, and the exit status is 1 at the end. How fast it went is told on
stderr. Boxes are in pixels of the image as it came, whatever size the network takes.
"""

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import sys
import time
import timeit
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

FORMAT_VERSION = 2  # of model.json
Source = Path | bytes | Image.Image | ValueError  # of an image, or why there is none
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"  # how they start
AFTER_SCAN = re.compile(b"\xff[^\x00\xff\xd0-\xd7]|" + PNG)  # of a JPEG
# What reads which files. `Image.open` would load all of Pillow's 40 formats at the first image.
FORMATS = (
    *((JPEG, JpegImageFile), (PNG, PngImageFile), (b"BM", BmpImageFile)),
    *((b"GIF8[79]a", GifImageFile), (b"(?s)RIFF....WEBP", WebPImageFile)),
)
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
MAX_PIXELS = 100_000_000  # 300 MB when decoded
MAX_BYTES = 64 << 20  # of an image in a stream
MAX_THREADS = 256  # with very many, XNNPACK ends the process
PAD_GREY = 114  # what fills the rest of an image that is fitted with "pad"
# Of classes and boxes; the same as in the pictures of vislearn.
COLOURS = ("#0072B2", "#D55E00", "#007A5A", "#A3487B", "#8A6100", "#2E6F95", "#5F6672")


class Package:
    """A package, checked and loaded: its task, its classes in the order of their numbers, the
    `(height, width, channels)` of its input, and how images are fitted to that (`resize`).
    """

    def __init__(self, folder: Path, format: str, threads: int):
        manifest, path = read_manifest(folder), folder / "model.json"
        self.task, self.classes = manifest["task"], manifest["classes"]
        inputs = {item["name"]: item for item in manifest["inputs"]}
        if [*inputs] != ["image"]:
            raise ValueError(f"{folder} takes {[*inputs]}, no images.")
        check(path, inputs["image"], shape=list, resize=str)
        self.shape, self.resize = tuple(inputs["image"]["shape"][1:]), inputs["image"]["resize"]
        if len(self.shape) != 3 or self.resize not in ("crop", "stretch", "pad"):
            raise ValueError(f"{path} is damaged: shape {self.shape}, resize {self.resize!r}.")
        self._batch: int = manifest.get("batch") or 1  # of a file that takes no other
        files = {i["format"]: i["file"] for i in manifest["formats"] if ".tflite" in i["file"]}
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
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # broken JSON, or no UTF-8
        raise ValueError(f"{path} is damaged: {error}.") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version={version!r}; this reads {FORMAT_VERSION}.")
    check(path, manifest, task=str, classes=list, inputs=list, formats=list, files=dict)
    for item in manifest["inputs"]:
        check(path, item, name=str)
    for item in manifest["formats"]:
        check(path, item, format=str, file=str)
    return manifest


def check(path: Path, item, **fields: type) -> None:
    """Raises ValueError if a part of the manifest lacks a field, or has one of another type."""
    for name, kind in fields.items():
        if not isinstance(item, dict) or not isinstance(item.get(name), kind):
            raise ValueError(f"{path} is damaged: {name!r} is missing, or no {kind.__name__}.")


def check_hash(folder: Path, name: str, files: dict) -> None:
    """Raises ValueError if a file is missing or not the one that was exported."""
    if not (folder / name).is_file():
        raise ValueError(f"{folder} is damaged: {name} is missing.")
    check(folder / "model.json", files.get(name), sha256=str)
    with open(folder / name, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != files[name]["sha256"]:
        raise ValueError(f"{folder} is damaged: {name} has not the sha256 that model.json states.")


def decode(source: Source, channels: int) -> Image.Image:
    """The image upright, 8 bits a channel, on white; grey for one channel, else RGB."""
    if isinstance(source, ValueError):
        raise source
    if isinstance(source, Image.Image):
        return source.convert("L" if channels == 1 else "RGB")
    data = source.read_bytes() if isinstance(source, Path) else source
    plugin = next((plugin for magic, plugin in FORMATS if re.match(magic, data)), None)
    if plugin is None:
        raise ValueError("it is no JPEG, PNG, BMP, GIF or WebP image.")
    # That of WebP takes memory for the whole picture when it is made.
    image = None if plugin is WebPImageFile else plugin(io.BytesIO(data))
    width, height = image.size if image else webp_size(data)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}.")
    image = image or plugin(io.BytesIO(data))
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


def webp_size(data: bytes) -> tuple[int, int]:
    """`(width, height)` from the first 30 bytes of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    if data[12:16] == b"VP8X":  # extended: 24 bits each, less one
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":  # lossless: 14 bits each, less one
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    bits = int.from_bytes(data[26:30], "little")  # lossy: 14 bits of 16 each
    return bits & 0x3FFF, bits >> 16 & 0x3FFF


class Fitted:
    """The `pixels` of an image brought to the size of the input, and the way back to its own: `box`
    `(left, top, right, bottom)` of it fills `inner` `(height, width)`, from the upper left corner.
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
        fitted = image.resize(self.inner[::-1], Image.Resampling.BILINEAR, box=self.box)
        fitted = np.asarray(fitted).reshape(*self.inner, channels)
        self.pixels = np.full(shape, PAD_GREY, np.uint8)
        self.pixels[: self.inner[0], : self.inner[1]] = fitted

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes `(n, 4)`, x1, y1, x2, y2, from pixels of the input to those of the image."""
        left, top, right, bottom = self.box
        scale = np.array([(right - left) / self.inner[1], (bottom - top) / self.inner[0]] * 2)
        return boxes * scale + np.array([left, top, left, top])


def describe(package: Package, outputs: dict, fitted: Fitted, top: int, score: float) -> dict:
    """The answer for one image as JSON values, each task in its own words."""
    names = package.classes
    if package.task == "classification":
        best = ranked(names, outputs["scores"], top)
        label = next(iter(best))
        return {"label": label, "score": best[label], "top": best}
    if package.task == "detection":
        count = int(np.count_nonzero(outputs["scores"][: outputs["count"]] >= score))
        boxes = fitted.to_image(outputs["boxes"][:count]).round(2).tolist()
        rows = zip(outputs["classes"], outputs["scores"], boxes, strict=False)
        return {"objects": [{"label": names[n], "score": float(s), "box": b} for n, s, b in rows]}
    if package.task == "semantic_segmentation":
        shares = np.bincount(outputs["mask"].ravel(), minlength=len(names)) / outputs["mask"].size
        best = {name: share for name, share in ranked(names, shares, top).items() if share > 0}
        return {"shares": best, "mean_confidence": float(outputs["confidence"].mean())}
    if package.task == "regression":
        return {"values": dict(zip(names, outputs["values"].tolist(), strict=True))}
    return {name: value.tolist() for name, value in outputs.items()}


def ranked(names: list[str], values: np.ndarray, top: int) -> dict[str, float]:
    best = np.argsort(-values, kind="stable")[:top]
    return {names[number]: float(values[number]) for number in best}


def draw(package: Package, image: Image.Image, fitted: Fitted, outputs: dict, answer: dict):
    """The image with boxes, the mask or the answer in words on it; small ones enlarged."""
    from PIL import ImageDraw, ImageFont

    scale = max(1, round(320 / max(image.size)))
    picture = ImageOps.scale(image.convert("RGB"), scale, Image.Resampling.NEAREST)
    font = ImageFont.load_default(size=max(13, max(picture.size) // 40))
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
    number = package.classes.index(name)
    return "#1F2328" if name == "background" else COLOURS[number % len(COLOURS)]


def flag(canvas, left: float, bottom: float, text: str, colour: str, font) -> None:
    """White text on a coloured ground, whose lower left corner is given, inside the picture."""
    bottom = max(bottom, 1.4 * font.size)
    width = canvas.textlength(text, font=font)
    canvas.rectangle((left, bottom - 1.4 * font.size, left + width + 6, bottom), fill=colour)
    canvas.text((left + 3, bottom - 1.3 * font.size), text, fill="white", font=font)


def lay_over(picture, package: Package, mask: np.ndarray, fitted: Fitted, scale: int) -> None:
    """Colours the classes of a mask where they lie in the picture; "background" stays clear."""
    # A mask that is smaller than the input (valid convolutions) is that of its centre.
    whole = np.full(package.shape[:2], -1)
    top, left = np.subtract(whole.shape, mask.shape) // 2
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    whole = whole[: fitted.inner[0], : fitted.inner[1]]
    colours = np.zeros((*whole.shape, 4), np.uint8)
    for number, name in enumerate(package.classes):
        if name != "background":
            colours[whole == number] = (*bytes.fromhex(colour_of(package, name)[1:]), 150)
    left, top, right, bottom = (round(value * scale) for value in fitted.box)
    size = max(right - left, 1), max(bottom - top, 1)  # of a line there may be nothing left
    layer = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
    picture.paste(layer.convert("RGB"), (left, top), layer.getchannel("A"))


def from_paths(paths) -> Iterator[tuple[str, Source]]:
    """The files that are named, and the images in the folders that are named, sorted."""
    for path in map(Path, paths):
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            yield str(path), ValueError(f"it holds no image; images end in {', '.join(SUFFIXES)}.")
        yield from ((str(file), file) for file in files)


def from_camera(source: str) -> Iterator[tuple[str, Source]]:
    """Frames of a camera by its number, or of a film by its path or address, until it ends."""
    try:
        import cv2
    except ImportError as error:
        raise ValueError("--camera needs opencv: pip install opencv-python-headless") from error
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        raise ValueError(f"--camera {source!r} can't be opened.")
    try:
        for count, (_, frame) in enumerate(iter(capture.read, (False, None))):
            yield f"camera {source} frame {count}", Image.fromarray(frame[:, :, ::-1])  # from BGR
    finally:
        capture.release()


def from_stream(stream: io.BufferedReader) -> Iterator[tuple[str, Source]]:
    """The JPEG and PNG files that follow each other in a stream, and an error for each lost one."""
    incoming, count = Incoming(stream), itertools.count()
    while incoming.data or stream.peek():
        name = f"stdin image {next(count)}"
        try:
            yield name, incoming.image()
        except ValueError as error:
            yield name, error
            incoming.skip()


class Incoming:
    """What has come of a stream and is not used yet, from the start of an image on: `data`. So many
    bytes as `sound` says belong to this image; if it is damaged, the next one starts later.
    """

    def __init__(self, stream: io.BufferedReader):
        self.stream, self.data, self.sound = stream, bytearray(), 0

    def at(self, start: int, size: int) -> bytearray:
        """Waits for bytes of the image; ValueError if it ends before, or is too large."""
        if start + size > MAX_BYTES:
            raise ValueError(f"the image has more than {MAX_BYTES:,} bytes.")
        while len(self.data) < start + size:
            if not (chunk := self.stream.read1(1 << 16)):
                raise ValueError("the stream ends before the image does.")
            self.data += chunk
        return self.data[start : start + size]

    def skip(self) -> None:
        """Drops what is damaged, up to where the next image starts."""
        del self.data[: self.sound]
        while not (found := re.search(JPEG + b"|" + PNG, self.data)) and self.stream.peek():
            self.data = self.data[-7:] + self.stream.read1(1 << 16)
        del self.data[: found.start() if found else None]

    def image(self) -> bytes:
        """Takes the next image; ValueError if it is damaged."""
        self.sound = 1
        head = self.at(0, 8)
        if not head.startswith((JPEG, PNG)):
            raise ValueError(f"it starts with {head.hex()}: no JPEG and no PNG.")
        end = self.end_of_png() if head == PNG else self.end_of_jpeg()
        image = bytes(self.data[:end])
        del self.data[:end]
        return image

    def end_of_jpeg(self) -> int:
        """Behind the marker FFD9 (ITU-T T.81, annex B). Segments have a length, and may hold a
        thumbnail; the data of a scan have none, FF00 is a byte of them and D0 to D7 restart them.
        """
        end, damaged = 2, ValueError("the JPEG is cut off or damaged.")
        while (marker := self.at(end, 2)) != b"\xff\xd9":
            if marker == b"\xff\xff":  # a fill byte
                end += 1
                continue
            if not re.match(b"\xff[\xc0-\xcf\xda-\xfe]", marker):
                raise damaged
            self.sound = end
            end += 2 + int.from_bytes(self.at(end + 2, 2))
            # Cut off in a segment, it swallows a start; that of a thumbnail is not so near the end.
            if JPEG in self.at(self.sound, end + 2 - self.sound)[-256:]:
                raise damaged
            if marker[1] == 0xDA:
                while not (found := AFTER_SCAN.search(self.data, end)):
                    end = max(end, len(self.data) - 7)  # Seven of a PNG's eight may be there.
                    self.at(len(self.data), 1)
                end = found.start()
        return end + 2

    def end_of_png(self) -> int:
        """Behind the chunk IEND; chunks are length, type, content and CRC-32 (ISO/IEC 15948)."""
        end, kind = 8, b""
        while kind != b"IEND":
            self.sound = end
            size, kind = int.from_bytes(self.at(end, 4)), self.at(end + 4, 4)
            # What is no type has no content, and the CRC of nothing is 0.
            checked = self.at(end + 4, size + 8) if kind.isalpha() else b"?"
            if zlib.crc32(checked[:-4]) != int.from_bytes(checked[-4:]):
                raise ValueError("the PNG is cut off or damaged.")
            end += 12 + size
        return end


def run(package: Package, images, options) -> int:
    """Prints a line an image; returns how many have no answer."""
    start, count, failed, model_seconds = time.perf_counter(), 0, 0, 0.0
    with contextlib.suppress(KeyboardInterrupt):  # the way to stop a camera
        for name, source in itertools.islice(images, options.limit):
            count += 1
            try:
                image = decode(source, package.shape[2])
                fitted = Fitted(image, package.shape, package.resize)
                before = time.perf_counter()
                outputs = package(fitted.pixels)
                seconds = time.perf_counter() - before
                for output, value in outputs.items():
                    if not np.isfinite(value).all():  # which JSON has no words for
                        raise ValueError(f"the output {output!r} is not finite.")
            except Exception as error:  # Whatever Pillow and the runtime raise: the others go on.
                failed += 1
                print(json.dumps({"image": name, "error": str(error) or repr(error)}), flush=True)
                continue
            model_seconds += seconds
            answer = describe(package, outputs, fitted, options.top, options.score)
            line = {"image": name, **answer, "model_ms": round(1000 * seconds, 3)}
            print(json.dumps(line), flush=True)
            if options.draw:
                picture = draw(package, image, fitted, outputs, answer)
                picture.save(options.draw / f"{count - 1:05d}_{Path(name).stem}.png")
    seconds, answered = time.perf_counter() - start, count - failed
    speed = f"{answered / seconds:.1f} images/s, {1000 * model_seconds / max(answered, 1):.2f} ms"
    told = f"{answered} images in {seconds:.2f} s: {speed} each in the model; {failed} failed."
    print(told, file=sys.stderr)
    return failed


def benchmark(package: Package, repeats: int, load_seconds: float) -> dict:
    """Latency of the model alone, on random pixels, and what the process took."""
    pixels = np.random.default_rng(0).integers(0, 256, package.shape, dtype=np.uint8)
    package(pixels)
    times = 1000 * np.array(timeit.repeat(lambda: package(pixels), number=1, repeat=repeats))
    return {
        "load_ms": round(1000 * load_seconds, 2),
        "p50_ms": round(float(np.percentile(times, 50)), 4),
        "p95_ms": round(float(np.percentile(times, 95)), 4),
        "images_per_second": round(1000 * repeats / times.sum(), 1),
        "peak_memory_mb": peak_memory(),
    }


def peak_memory() -> float | None:
    """Largest resident memory of this process so far in MB (VmHWM); None where not on Linux."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return round(int(found[1]) * 1024 / 1e6, 1) if found else None


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def threads(text: str) -> int:
    if (number := positive(text)) > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"{number} is more than {MAX_THREADS}")
    return number


def parse(arguments: list[str] | None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("package", type=Path, help="folder of the exported package")
    parser.add_argument("images", nargs="*", help="image files, and folders of them")
    parser.add_argument("--stdin", choices=("images", "paths"), help="what comes on stdin")
    parser.add_argument("--camera", help="number of a camera, or a film (needs opencv)")
    parser.add_argument("--benchmark", type=positive, help="only measure, with so many calls")
    parser.add_argument("--format", default="litert", help="litert, litert_int8 ...")
    parser.add_argument("--threads", type=threads, default=min(4, cores or 1))
    parser.add_argument("--top", type=positive, default=3, help="answers an image")
    parser.add_argument("--score", type=float, default=0.3, help="least score of a detection")
    parser.add_argument("--draw", type=Path, help="folder for pictures with the answers")
    parser.add_argument("--limit", type=positive, help="stop after so many images")
    options = parser.parse_intermixed_args(arguments)  # options may stand among the images
    sources = (options.stdin, options.camera, options.benchmark, options.images)
    if sum(bool(source) for source in sources) != 1:
        parser.error("one of images, --stdin, --camera and --benchmark is needed, and no other")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        start = time.perf_counter()
        package = Package(options.package, options.format, options.threads)
        if options.benchmark:
            print(json.dumps(benchmark(package, options.benchmark, time.perf_counter() - start)))
            return 0
        if options.draw:
            options.draw.mkdir(parents=True, exist_ok=True)
        if options.camera:
            images = from_camera(options.camera)
        elif options.stdin == "images":
            images = from_stream(sys.stdin.buffer)
        else:
            lines = (line.rstrip("\r\n") for line in sys.stdin)
            paths = filter(None, lines) if options.stdin else options.images
            images = from_paths(paths)
        return 1 if run(package, images, options) else 0
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
