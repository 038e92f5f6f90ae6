"""NASNets in keras.applications."""

from vislearn.weights.layout import Layout, Published


def _cell(ours: str, kind: str, theirs: str):
    """A cell: of the kind `"normal"` or `"reduction"`, with what their names end with."""
    yield f"{ours}_previous_conv", f"adjust_conv_projection_{theirs}"
    yield f"{ours}_previous_conv{{h}}", f"adjust_conv_{{h}}_{theirs}"
    yield f"{ours}_previous_bn", f"adjust_bn_{theirs}"
    yield f"{ours}_current_{{part}}", f"{kind}_{{part}}_1_{theirs}"
    if kind == "reduction":  # Two of their paths are called left4.
        yield f"{ours}_left5_conv{{c}}", f"separable_conv_{{c}}_reduction_left4_{theirs}"
        yield f"{ours}_left5_bn{{c}}", f"separable_conv_{{c}}_bn_reduction_left4_{theirs}"
    for side in ("left", "right"):
        for part, there in (("conv", ""), ("bn", "bn_")):
            yield (
                f"{ours}_{side}{{n}}_{part}{{c}}",
                f"separable_conv_{{c}}_{there}{kind}_{side}{{n}}_{theirs}",
            )


def _names(repeats: int):
    """Theirs are numbered from 0 over the whole network, where a first reduction takes a number."""
    yield "stem_conv", "stem_conv1"
    yield "stem_bn", "stem_bn1"
    for index in (1, 2):
        yield from _cell(f"stem_cell{index}", "reduction", f"stem_{index}")
    for stage in (1, 2, 3):
        before = (stage - 1) * repeats
        if stage > 1:
            yield from _cell(f"stage{stage}_reduction", "reduction", f"reduce_{before}")
        for index in range(1, repeats + 1):
            number = before + index - (stage == 1)
            yield from _cell(f"stage{stage}_cell{index}", "normal", str(number))
    yield "head", "predictions"


LAYOUTS = {
    "keras.applications": {
        "nasnet_mobile": Layout(names=tuple(_names(4))),
        "nasnet_large": Layout(names=tuple(_names(6))),
    },
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/"

PUBLISHED = {
    "nasnet_mobile": Published(
        "keras.applications",
        "NASNetMobile",
        f"{_KERAS}NASNet-mobile.h5",
        "md5:020fb642bf7360b370c678b08e0adf61",
    ),
    "nasnet_large": Published(
        "keras.applications",
        "NASNetLarge",
        f"{_KERAS}NASNet-large.h5",
        "md5:11577c9a518f0070763c2b964a382f17",
    ),
}
