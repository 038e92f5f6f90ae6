"""Makes what the page is tested with: four small packages, pictures, and Python's answers to them.

    .venv/bin/python apps/web/tests/make_packages.py [PACKAGE ...]

Each network is small, trained for some minutes on the embedded data sets, and kept here with its
answers, 275 kB compressed: so the tests of the page need no Python. `tests/apps/test_web.py` checks
that the stored answers are still those of `load_predictor`.
"""

import base64
import itertools
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import vislearn
from vislearn.commands import export_run
from vislearn.data import shapes
from vislearn.data.images import RESIZE_MODES, fit_image
from vislearn.training import train

HERE = Path(__file__).parent
PACKAGES, PICTURES = HERE / "packages", HERE / "pictures"

# By the name of the package: arguments of `train`.
NETWORKS = {
    "digits": {
        "model": "resnet20_cifar",
        "data": "digits",
        "options": {"depth": 8, "width": 8},
        "epochs": 30,
    },
    "digits_vae": {
        "model": "conv_vae",
        "data": "digits",
        "options": {"width": 8, "hidden": 32, "latent": 4},
        "epochs": 60,
    },
    "shapes_boxes": {
        "model": "retinanet",
        "data": "shapes/64",
        "options": {
            "backbone_options": {"width": 4, "repeats": (1, 1, 1, 1)},
            "levels": ("C3", "C4"),
            "extra_levels": 0,
            "fpn_channels": 16,
            "head_depth": 1,
            "norm": "batch",
            "anchor_sizes": (16, 32),
        },
        "epochs": 24,
    },
    "shapes_masks": {
        "model": "unet",
        "data": "shapes/64",
        "options": {"filters": 4, "depth": 2, "padding": "same", "norm": "batch"},
        "learning_rate": 8e-3,
        "epochs": 8,
    },
}
CODES = np.round(np.random.default_rng(0).normal(size=(3, 4)), 2)  # steps of the page's sliders


def make_package(name: str, model: str, **options) -> None:
    """Trains a network and exports its LiteRT file."""
    with tempfile.TemporaryDirectory() as folder:
        train(model, out=f"{folder}/run", quiet=True, **options)
        export_run(f"{folder}/run", f"{folder}/{name}", formats=("litert",), quantize=None)
        made = Path(folder) / name
        shutil.rmtree(PACKAGES / name, ignore_errors=True)
        shutil.copytree(made / "decoder" if (made / "decoder").is_dir() else made, PACKAGES / name)


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
        for name, number in (("64", 1), ("128", 2))
    )
    own.save(PICTURES / "shapes.png")
    other.crop((0, 10, 128, 110)).save(PICTURES / "shapes_wide.png")
    # Turned on its side, with the note in the file that says so.
    exif = Image.Exif()
    exif[0x0112] = 6
    other.rotate(90).save(PICTURES / "shapes_turned.jpg", quality=90, exif=exif)


def make_answers() -> list[dict]:
    """What `load_predictor` says of every picture, and of every code."""
    found = []
    for package, patterns in (
        ("digits", "digit*"),
        ("shapes_boxes", "shapes*"),
        ("shapes_masks", "shapes*"),
    ):
        predictor = vislearn.load_predictor(PACKAGES / package)
        for picture in sorted(PICTURES.glob(patterns)):
            answers = predictor.predict_files([picture])[0].answers
            found.append({"package": package, "picture": picture.name, "answers": answers})
    predictor = vislearn.load_predictor(PACKAGES / "digits_vae")
    for code in CODES:
        images = predictor.predict(code[np.newaxis].astype(np.float32))
        answers = {name: value[0] for name, value in images.items()}
        found.append({"package": "digits_vae", "latent": code.tolist(), "answers": answers})
    for item in found:
        item["answers"] = {
            name: np.round(value.astype(float), 4).ravel().tolist()
            for name, value in item["answers"].items()
        }
    return found


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
    for name in sys.argv[1:] or NETWORKS:
        make_package(name, **NETWORKS[name])
    make_pictures()
    write_lines(HERE / "fits.json", make_fits())
    write_lines(HERE / "answers.json", make_answers())


if __name__ == "__main__":
    main()
