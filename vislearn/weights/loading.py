"""A network with the weights of a file, whichever library wrote it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras

from vislearn.layers import PositionEmbedding
from vislearn.ops.positions import resample_positions
from vislearn.weights.conversion import WeightsReport, convert, keras_weights
from vislearn.weights.layout import Layout, layouts, published

IMAGENET = "imagenet"
SUFFIXES = (".weights.h5", ".keras", ".safetensors", ".h5")
_OURS = Layout(names=(("{layer}", "{layer}"),))


def build_with_weights(
    info, build: Callable[..., keras.Model], weights: str, *, new_head: bool = False
) -> tuple[keras.Model, WeightsReport]:
    """Builds a network as its weights expect it, and loads them.

    Args:
        info: The `ModelInfo` of the network.
        build: Builds it; takes arguments of the builder that the weights call for.
        weights: `"imagenet"`, or the path of a file: `.keras` of any network of ours with the same
            layers, `.weights.h5` of the same network, `.h5` of keras.applications, `.safetensors`
            of torchvision or timm.
        new_head: Whether the layer `head` keeps its own weights where those of the file have
            another shape.

    Returns:
        The network, and what became of each weight.

    Raises:
        ValueError: If the file is of another kind, or if a weight is missing there, has another
            shape or has no place in the network.
        FileNotFoundError: If there is no such file.
    """
    if weights == IMAGENET:
        path = _downloaded(info)
    else:
        path = Path(weights)
        if not path.name.endswith(SUFFIXES):
            raise ValueError(
                f"weights={weights!r} must be None, {IMAGENET!r} or a file that ends in one of "
                f"{SUFFIXES}."
            )
        with open(path, "rb"):  # Says what is wrong with the path before a parser does.
            pass
    if path.name.endswith(".weights.h5"):
        model = build()
        model.load_weights(path)
        return model, WeightsReport(matched=tuple(variable.path for variable in model.weights))
    reader = {
        ".keras": _from_keras,
        ".h5": _from_keras_applications,
        ".safetensors": _from_torch,
    }[path.suffix]
    model, values, report, layout = reader(info, build, path)
    head = {layer.name for layer in model.layers} & {"head"}
    if new_head:
        report = report.without("head")
    if not head:  # Left off, so its weights in the file are of no use.
        report = report.ignoring(layout.module("head"))
    if not report.complete:
        raise ValueError(f"weights={str(path)!r} don't fit {info.name}: {report}.")
    for layer, arrays in values.items():
        model.get_layer(layer).set_weights(arrays)
    return model, report


def _downloaded(info) -> Path:
    """The published file, from the cache or from where it is published."""
    from vislearn.weights.store import fetch

    files = published(info.family)
    if info.name not in files:
        known = f"those of the family are {sorted(files)}" if files else "nor has its family"
        raise ValueError(f"weights={IMAGENET!r}: {info.name} has no published weights; {known}.")
    return fetch(files[info.name])


def _options(layout: Layout) -> dict:
    preprocessing = {} if layout.preprocessing is None else {"preprocessing": layout.preprocessing}
    return {**layout.options, **preprocessing}


def _from_keras(info, build, path):
    """Copies by layer name from a saved model of ours, positions for the size of the new one."""
    theirs = keras.saving.load_model(path, compile=False)
    grids = {one.name: one.grid for one in theirs.layers if isinstance(one, PositionEmbedding)}

    def positions(layer, read):
        found, old = read("position_embedding"), grids.get(layer.name)
        return [found if None in (layer.grid, old) else resample_positions(found, layer.grid, old)]

    layout = dataclasses.replace(_OURS, converters={PositionEmbedding: positions})
    source = keras_weights(theirs, unnamed=False)
    model = build()
    return model, *convert(model, source, layout, from_torch=False), layout


def _from_torch(info, build, path):
    """Reads the layout of torchvision or timm, whichever fits better."""
    from safetensors.numpy import load_file

    source = load_file(path)
    known = {
        id(layout): layout
        for library, layout in layouts(info.family, info.name).items()
        if library != "keras.applications"
    }
    if not known:
        raise ValueError(f"weights={str(path)!r}: no torch library has {info.name}.")
    found = []
    for layout in known.values():
        model = build(**_options(layout))
        found.append((model, *convert(model, source, layout, from_torch=True), layout))
    return max(found, key=lambda row: (len(row[2].matched), -len(row[2].unused)))


def _from_keras_applications(info, build, path):
    """Lets keras.applications read its own file, and takes the weights from its model.

    The files name layers as they were called when they were written; only their order counts.
    """
    layout = layouts(info.family, info.name).get("keras.applications")
    file = published(info.family).get(info.name)
    if layout is None or file is None or file.library != "keras.applications":
        raise ValueError(f"weights={str(path)!r}: keras.applications has no {info.name}.")
    theirs = getattr(keras.applications, file.model)(
        weights=str(path), classes=_classes(path), classifier_activation=None
    )
    model = build(**_options(layout))
    return model, *convert(model, keras_weights(theirs), layout, from_torch=False), layout


def _classes(path: Path) -> int:
    """The number of classes of a weights file of keras.applications: its last bias."""
    import h5py

    with h5py.File(path) as file:
        if "layer_names" not in file.attrs:
            raise ValueError(f"weights={str(path)!r} is no weights file of keras.applications.")
        for layer in reversed(file.attrs["layer_names"]):
            group = file[layer]
            names = group.attrs["weight_names"]
            if len(names):
                return group[names[-1]].shape[-1]
    raise ValueError(f"weights={str(path)!r} holds no weights.")
