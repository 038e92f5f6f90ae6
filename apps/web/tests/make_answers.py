"""Makes what the page is tested with: pictures, Python's answers, and a generator of classes.

    .venv/bin/python apps/web/tests/make_answers.py [FOLDER]

The packages are those below `saved_models/`, or another folder. Python's answers are stored, so the
tests of the page need no Python; `tests/apps/test_web.py` checks that they are still those of
`load_predictor`. Run it again when `saved_models/make` has made other packages.
"""

import base64
import hashlib
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import vislearn
from vislearn.data import shapes
from vislearn.data.images import RESIZE_MODES, fit_image

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
SAVED = Path(__file__).parents[3] / "saved_models"

FORMATS = ("litert", "litert_int8")
# By the package below the folder, the pictures that it is asked about.
ASKED = {
    "digits": "digit*",
    "mnist": "digit*",
    "cifar10": "shapes*",
    "shapes_detector": "shapes*",
    "shapes_segmenter": "shapes*",
}
GENERATOR = "mnist_generator/decoder"
CODES = np.round(np.random.default_rng(0).normal(size=(2, 8)), 2)  # steps of the page's sliders
MANY = 1000  # numbers of one answer, of which every STEP-th is stored
STEP = 61


def make_pictures() -> None:
    """Pictures of the networks' own size, and others that have to be cropped, scaled or turned."""
    PICTURES.mkdir(exist_ok=True)
    digit = vislearn.load_dataset("digits").arrays("test", limit=2)["images"][..., 0]
    Image.fromarray(digit[0]).save(PICTURES / "digit.png")
    large = Image.fromarray(digit[1]).resize((41, 53), Image.Resampling.BICUBIC)
    coloured = Image.merge("RGB", (large, large.point(lambda value: value // 2), large))
    coloured.save(PICTURES / "digit_coloured.png")

    own, other = (
        Image.fromarray(shapes.draw_scene(shapes.CONFIGS[name], "test", number).image)
        for name, number in (("96", 21), ("128", 2))
    )
    own.save(PICTURES / "shapes.png")
    other.crop((0, 10, 128, 110)).save(PICTURES / "shapes_wide.png")
    # Turned on its side, with the note in the file that says so.
    exif = Image.Exif()
    exif[0x0112] = 6
    other.rotate(90).save(PICTURES / "shapes_turned.jpg", quality=90, exif=exif)


def make_answers(saved: Path) -> list[dict]:
    """What `load_predictor` says of every picture by every format, and of every code."""
    found = []
    for package, pattern in ASKED.items():
        for format in FORMATS:
            predictor = vislearn.load_predictor(saved / package, format)
            for picture in sorted(PICTURES.glob(pattern)):
                answers = predictor.predict_files([picture])[0].answers
                asked = {"package": package, "format": format, "picture": picture.name}
                found.append({**asked, "answers": answers})
    predictor = vislearn.load_predictor(saved / GENERATOR)
    for code in CODES:
        images = predictor.predict(code[np.newaxis].astype(np.float32))
        answers = {name: value[0] for name, value in images.items()}
        asked = {"package": GENERATOR, "format": "litert", "latent": code.tolist()}
        found.append({**asked, "answers": answers})
    for item in found:
        item["answers"] = {name: _sample(value) for name, value in item["answers"].items()}
    return found


def _sample(values: np.ndarray) -> dict:
    """The numbers of an answer; of masks, which are long, one here and there."""
    values = np.round(values.astype(float), 4).ravel()
    step = 1 if values.size < MANY else STEP
    return {"size": values.size, "step": step, "values": values[::step].tolist()}


def make_conditional(folder: Path) -> None:
    """A generator of classes that knows nothing: brighter noise for each class after the first.

    None of the trained packages takes a class, and the page has a control for it.
    """
    import tensorflow as tf

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 8, 8, 1), tf.float32, "noise"),
            tf.TensorSpec((None,), tf.int32, "label"),
        ]
    )
    def predict(noise, label):
        light = 60.0 + 60.0 * tf.cast(label, tf.float32)[:, None, None, None]
        return {"image": tf.cast(tf.clip_by_value(light + 10.0 * noise, 0.0, 255.0), tf.uint8)}

    module = tf.Module()
    module.predict = predict
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, signatures={"predict": predict})
        content = tf.lite.TFLiteConverter.from_saved_model(saved).convert()
    digest = hashlib.sha256(content).hexdigest()
    manifest = {
        "format_version": 2,
        "name": "conditional",
        "task": "generation",
        "shows": "image",
        "classes": ["dark", "light"],
        "inputs": [
            {"name": "noise", "shape": [None, 8, 8, 1], "dtype": "float32"},
            {"name": "label", "shape": [None], "dtype": "int32"},
        ],
        "outputs": [{"name": "image", "shape": [None, 8, 8, 1], "dtype": "uint8"}],
        "batch": None,
        "files": {"model.tflite": {"size": len(content), "sha256": digest}},
    }
    folder.mkdir(exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def make_fits() -> list[dict]:
    """How Pillow brings a picture of noise to other sizes, smaller and larger ones."""
    noise = np.random.default_rng(0).integers(0, 256, (23, 17, 3), dtype=np.uint8)
    cases = itertools.product(((9, 14), (40, 31), (23, 5)), RESIZE_MODES)
    return [
        {"picture": noise.shape, "pixels": _text(noise)},
        *(
            {"size": size, "mode": mode, "pixels": _text(fit_image(noise, size, mode))}
            for size, mode in cases
        ),
    ]


def _text(pixels: np.ndarray) -> str:
    return base64.b64encode(pixels.tobytes()).decode("ascii")


def write_lines(path: Path, items: list[dict]) -> None:
    """Writes JSON, an item a line."""
    lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    make_pictures()
    make_conditional(HERE / "conditional")
    write_lines(HERE / "fits.json", make_fits())
    saved = Path(sys.argv[1]) if sys.argv[1:] else SAVED
    write_lines(HERE / "answers.json", make_answers(saved))


if __name__ == "__main__":
    main()
