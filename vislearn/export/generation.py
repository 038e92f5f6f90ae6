"""Pictures from exported generators, decoders and samplers: their noise, and a run of them."""

from pathlib import Path

import numpy as np

from vislearn.export.package import MANIFEST, read_manifest
from vislearn.export.predictor import load_predictor


def package_pictures(
    package: str | Path,
    *,
    count: int,
    seed: int = 0,
    label: str | None = None,
    format: str = "litert",
    batch_size: int = 16,
):
    """Makes pictures with an exported generator, decoder or sampler.

    Args:
        package: Folder of a package that makes pictures from noise, or of an export that holds one.
        count: How many pictures.
        seed: Seed of the noise; the same seed gives the same pictures.
        label: Name of the class of all pictures, where the network knows classes; None for each
            class in turn.
        format: Format of the package to run.
        batch_size: Pictures that are made at a time.

    Returns:
        The pictures, uint8 `(count, height, width, channels)`.

    Raises:
        ValueError: If the package makes no pictures, or an argument is unfit.
    """
    from rich.progress import track

    if count < 1:
        raise ValueError(f"count={count!r} must be at least 1.")
    predictor = load_predictor(_generator_package(Path(package)), format)
    inputs = noise_inputs(predictor, count, seed, label)
    shows, made = predictor.manifest["shows"], []
    starts = range(0, count, batch_size)
    for start in track(starts, "Generating", transient=True, disable=len(starts) == 1):
        batch = {name: value[start : start + batch_size] for name, value in inputs.items()}
        made.append(predictor.predict(batch, batch_size)[shows])
    return np.concatenate(made)


def _generator_package(package: Path) -> Path:
    """The package itself, or the one below it that makes pictures from noise."""
    if (package / MANIFEST).is_file() or not package.is_dir():
        candidates = [package]
    else:
        candidates = sorted(path.parent for path in package.glob(f"*/{MANIFEST}"))
    for candidate in candidates:
        manifest = read_manifest(candidate)
        names = {item["name"] for item in manifest["inputs"]}
        if manifest["shows"] and names <= {"noise", "latent", "label"}:
            return candidate
    raise ValueError(f"{package} makes no pictures from noise: it is no generator or sampler.")


def noise_inputs(predictor, count: int, seed: int, label: str | None) -> dict:
    """Starting noise for each float input, and class numbers for `label`.

    Args:
        predictor: What has the `name`, `classes` and `inputs` of a `vislearn.export.Predictor`.
        count, seed, label: See `package_pictures`.

    Raises:
        ValueError: If there is no such class.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for item in predictor.inputs:
        if item["name"] == "label":
            classes = predictor.classes
            if label is not None and label not in classes:
                raise ValueError(f"label={label!r} must be one of {list(classes)}.")
            numbers = np.arange(count) % len(classes)
            if label is not None:
                numbers = np.full(count, classes.index(label))
            found["label"] = numbers.astype(item["dtype"])
        else:
            found[item["name"]] = rng.normal(size=(count, *item["shape"][1:])).astype("float32")
    if label is not None and "label" not in found:
        raise ValueError(f"label={label!r}: {predictor.name} knows no classes.")
    return found
