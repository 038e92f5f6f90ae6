"""How other libraries name the weights of a family, and how to find ours among them."""

import dataclasses
import fnmatch
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LIBRARIES = ("keras.applications", "torchvision", "timm")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one library names the weights of one family.

    Attributes:
        names: Pairs of our layer and their module; the first pair that matches counts. `{s}` (one
            letter) stands for a number, `{part}` (more letters) for any text, and on their side
            `{s-1}` for the number less one: `("stage{s}_{part}", "layer{s-1}.{part}")`. None in
            place of a module is for a layer that they do not have.
        ignored: Shell-style patterns of their weights that have no place in our network, such as
            auxiliary heads.
        converters: For layers of our own, or where the library does something of its own: layer
            type -> function of `(layer, read)` that returns the layer's weights, in the order of
            `layer.weights`. `read("weight")` gives the array of that name in the layer's module.
        options: Arguments of our builder that make it the library's network, such as
            `{"stride_in_1x1": True}`.
        preprocessing: What the library's published weights expect; None for what is our default.
        bgr: Whether their first convolution takes blue, green and red, which ours then takes the
            other way round.
        epsilon: The epsilon of their batch norm, where it is larger than ours; the difference moves
            into the variance.
    """

    names: Sequence[tuple[str, str | None]]
    ignored: Sequence[str] = ()
    converters: Mapping[type, Callable] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preprocessing: str | None = None
    bgr: bool = False
    epsilon: float | None = None

    def module(self, layer: str) -> str | None:
        """Their name of our layer.

        Raises:
            KeyError: If no pair matches.
        """
        for ours, theirs in self.names:
            match = re.fullmatch(_pattern(ours), layer)
            if match:
                return None if theirs is None else _filled(theirs, match.groupdict())
        raise KeyError(layer)

    def ignores(self, key: str) -> bool:
        """Whether one of their weights has no place in our network."""
        return any(fnmatch.fnmatchcase(key, pattern) for pattern in self.ignored)


@dataclasses.dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
        library: Whose it is: one of `LIBRARIES`.
        model: The library's name of the model: `"ResNet50"`, `"resnet50.tv_in1k"`.
        url: Where the file lies.
        digest: What is published of its hash, `"md5:..."` or `"sha256:..."` (the first digits are
            enough), or None.
        classes: The number of classes of its head.
    """

    library: str
    model: str
    url: str
    digest: str | None = None
    classes: int = 1000


def layouts(family: str, name: str | None = None) -> dict[str, Layout]:
    """The layouts of a family by library.

    Args:
        family: The family.
        name: The registry name of one of its models. A family whose models a library names in
            different ways has `{pattern of registry names: Layout}` in place of a layout, of which
            the first that matches counts.
    """
    module, found = _family(family), {}
    for library, layout in ({} if module is None else module.LAYOUTS).items():
        if not isinstance(layout, Layout):
            matching = (
                one for names, one in layout.items() if fnmatch.fnmatchcase(name or "", names)
            )
            layout = next(matching, None)
        if layout is not None:
            found[library] = layout
    return found


def published(family: str) -> dict[str, Published]:
    """The published ImageNet weights of a family by registry name."""
    module = _family(family)
    return {} if module is None else module.PUBLISHED


def _family(family: str):
    name = f"{__package__}.families.{family}"
    if importlib.util.find_spec(name) is None:
        return None
    return importlib.import_module(name)


def _pattern(ours: str) -> str:
    def group(match):
        name = match[1]
        return f"(?P<{name}>\\d+)" if len(name) == 1 else f"(?P<{name}>.+)"

    return re.sub(r"\{(\w+)\}", group, ours)


def _filled(theirs: str, found: dict[str, str]) -> str:
    def value(match):
        name, shift = match[1], match[2]
        return str(int(found[name]) + int(shift)) if shift else found[name]

    return re.sub(r"\{(\w+?)([+-]\d+)?\}", value, theirs)
