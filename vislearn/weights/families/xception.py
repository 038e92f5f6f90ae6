"""Xception in keras.applications.

That of timm (`legacy_xception`) pads in other places, and has its weights in a pickle only.
"""

from vislearn.weights.layout import Layout, Published


def _keras_names():
    """Their blocks are counted over the whole network; shortcuts have no names, but numbers."""
    yield "stem_conv{c}", "block1_conv{c}"
    yield "stem_bn{c}", "block1_conv{c}_bn"
    shortcuts = ("entry_block1", "entry_block2", "entry_block3", "exit_block1")
    for number, block in enumerate(shortcuts, start=1):
        yield f"{block}_shortcut_conv", f"conv2d_{number}"
        yield f"{block}_shortcut_bn", f"batch_normalization_{number}"
    for ours, theirs in (
        ("entry_block{b}", "block{b+1}"),
        ("middle_block{b}", "block{b+4}"),
        ("exit_block{b}", "block{b+12}"),
    ):
        yield f"{ours}_conv{{c}}", f"{theirs}_sepconv{{c}}"
        yield f"{ours}_bn{{c}}", f"{theirs}_sepconv{{c}}_bn"
    yield "head", "predictions"


LAYOUTS = {"keras.applications": Layout(names=tuple(_keras_names()))}

PUBLISHED = {
    "xception": Published(
        "keras.applications",
        "Xception",
        "https://storage.googleapis.com/tensorflow/keras-applications/xception/"
        "xception_weights_tf_dim_ordering_tf_kernels.h5",
        "md5:0a58e3b7378bc2990ea3b43d5981f1f6",
    ),
}
