"""MLP-Mixer and gMLP in timm."""

from vislearn.weights.layout import Layout, Published

LAYOUTS = {
    "timm": Layout(
        names=(
            ("patch_embedding", "stem.proj"),
            # MLP-Mixer.
            ("block{b}_tokens_dense{d}", "blocks.{b-1}.mlp_tokens.fc{d}"),
            ("block{b}_channels_dense{d}", "blocks.{b-1}.mlp_channels.fc{d}"),
            ("block{b}_norm{n}", "blocks.{b-1}.norm{n}"),
            # gMLP.
            ("block{b}_dense{d}", "blocks.{b-1}.mlp_channels.fc{d}"),
            ("block{b}_gate_norm", "blocks.{b-1}.mlp_channels.gate.norm"),
            ("block{b}_gate_dense", "blocks.{b-1}.mlp_channels.gate.proj"),
            ("block{b}_norm", "blocks.{b-1}.norm"),
            ("norm", "norm"),
            ("head", "head"),
        )
    ),
}


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "mixer_b16": _timm("mixer_b16_224.goog_in21k_ft_in1k"),
    "gmlp_s16": _timm("gmlp_s16_224.ra3_in1k"),
}
