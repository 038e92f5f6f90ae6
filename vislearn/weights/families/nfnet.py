"""NFNets in timm, whose `dm_nfnet` models hold the authors' weights."""

from vislearn.layers import ScaledStandardizedConv2D, SkipInit
from vislearn.weights.layout import Layout, Published


def _convolution(layer, read):
    return [read("weight").transpose(2, 3, 1, 0), read("bias"), read("gain").reshape(-1)]


_BLOCK = "stages.{s-1}.{b-1}"

LAYOUTS = {
    "timm": Layout(
        names=(
            ("stem_conv{c}", "stem.conv{c}"),
            ("stage{s}_block{b}_shortcut_conv", f"{_BLOCK}.downsample.conv"),
            # Ours count on where theirs have a "2b".
            ("stage{s}_block{b}_conv3", f"{_BLOCK}.conv2b"),
            ("stage{s}_block{b}_conv4", f"{_BLOCK}.conv3"),
            ("stage{s}_block{b}_conv{c}", f"{_BLOCK}.conv{{c}}"),
            ("stage{s}_block{b}_se_reduce", f"{_BLOCK}.attn_last.fc1"),
            ("stage{s}_block{b}_se_expand", f"{_BLOCK}.attn_last.fc2"),
            ("stage{s}_block{b}_skip_init", _BLOCK),
            ("final_conv", "final_conv"),
            ("head", "head.fc"),
        ),
        converters={
            ScaledStandardizedConv2D: _convolution,
            SkipInit: lambda layer, read: [read("skipinit_gain")],
        },
    ),
}

PUBLISHED = {
    "nfnet_f0": Published(
        "timm",
        "dm_nfnet_f0.dm_in1k",
        "https://huggingface.co/timm/dm_nfnet_f0.dm_in1k/resolve/main/model.safetensors",
    ),
}
