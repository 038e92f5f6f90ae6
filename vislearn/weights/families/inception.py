"""Inception networks in torchvision, timm and keras.applications."""

from vislearn.weights.layout import Layout, Published

_NO_COUNTERS = "*.num_batches_tracked"

# Their letters count modules over the whole network (3a, 3b, 4a), ours from 1 in each stage.
_GOOGLENET = Layout(
    names=(
        ("stem_{kind}{c}", "conv{c}.{kind}"),
        *(
            (f"stage{stage}_block{index}_{branch}", f"inception{stage}{letter}.{theirs}")
            for stage, letters in ((3, "ab"), (4, "abcde"), (5, "ab"))
            for index, letter in enumerate(letters, start=1)
            for branch, theirs in (
                ("branch1_{kind}1", "branch1.{kind}"),
                ("branch4_{kind}1", "branch4.1.{kind}"),  # 0 is the pooling.
                ("branch{b}_{kind}{c}", "branch{b}.{c-1}.{kind}"),
            )
        ),
        ("aux{a}_dense", "aux{a}.fc1"),
        ("aux{a}_head", "aux{a}.fc2"),
        ("aux{a}_{kind}1", "aux{a}.conv.{kind}"),
        ("head", "fc"),
    ),
    ignored=(_NO_COUNTERS, "aux1.*", "aux2.*"),
    # Their weights undo the scaling to mean 0 and deviation 1 by channel (`transform_input`) and
    # take -1..1, which is our default.
    preprocessing="symmetric",
)


def _v3_names():
    """Modules 5b to 5d are our stage 3, 6a to 6e stage 4, 7a to 7c stage 5."""
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
    for index, theirs in enumerate(stem, start=1):
        yield f"stem_{{kind}}{index}", f"{theirs}.{{kind}}"
    modules = (
        ("stage3_block", "5", "bcd", ("1x1", "5x5_{c}", "3x3dbl_{c}", "_pool")),
        ("stage4_reduction", "6", "a", ("3x3", "3x3dbl_{c}")),
        ("stage4_block", "6", "bcde", ("1x1", "7x7_{c}", "7x7dbl_{c}", "_pool")),
        ("stage5_reduction", "7", "a", ("3x3_{c}", "7x7x3_{c}")),
        ("stage5_block", "7", "bc", ("1x1", "3x3_{c}", "3x3dbl_{c}", "_pool")),
    )
    for ours, number, letters, branches in modules:
        for index, letter in enumerate(letters, start=1):
            block = f"{ours}{index}" if ours.endswith("block") else ours
            for branch, theirs in enumerate(branches, start=1):
                path, there = f"{block}_branch{branch}", f"Mixed_{number}{letter}.branch{theirs}"
                if "{c}" not in theirs:
                    yield f"{path}_{{kind}}1", f"{there}.{{kind}}"
                    continue
                for fork in "ab":
                    yield f"{path}_{{kind}}{{c}}{fork}", f"{there}{fork}.{{kind}}"
                yield f"{path}_{{kind}}{{c}}", f"{there}.{{kind}}"
    yield "head", "fc"


_V3 = Layout(
    names=tuple(_v3_names()),
    ignored=(_NO_COUNTERS, "AuxLogits.*"),
    options={"gamma": True, "count_padding": True},
    preprocessing="symmetric",
)


# Theirs is one sequence, and so its branches; a branch of one convolution is no sequence.
_V4 = Layout(
    names=(
        ("stem_block1_branch2_{kind}1", "features.3.conv.{kind}"),
        ("stem_block2_branch{n}_{kind}{c}", "features.4.branch{n-1}.{c-1}.{kind}"),
        ("stem_block3_branch1_{kind}1", "features.5.conv.{kind}"),
        ("stem_{kind}{c}", "features.{c-1}.{kind}"),
        ("stage4_reduction_branch1_{kind}1", "features.10.branch0.{kind}"),
        ("stage4_reduction_branch{n}_{kind}{c}", "features.10.branch{n-1}.{c-1}.{kind}"),
        ("stage5_reduction_branch{n}_{kind}{c}", "features.18.branch{n-1}.{c-1}.{kind}"),
        *(
            (f"stage{stage}_block{{b}}_{ours}", f"features.{{b+{before}}}.{theirs}")
            for stage, before in ((3, 5), (4, 10), (5, 18))
            for ours, theirs in (
                ("branch1_{kind}1", "branch0.{kind}"),
                ("branch4_{kind}1", "branch3.1.{kind}"),
                *(
                    (("branch{n}_{kind}{c}", "branch{n-1}.{c-1}.{kind}"),)
                    if stage < 5
                    else (
                        ("branch{n}_{kind}{c}a", "branch{n-1}_{c-1}a.{kind}"),
                        ("branch{n}_{kind}{c}b", "branch{n-1}_{c-1}b.{kind}"),
                        ("branch{n}_{kind}{c}", "branch{n-1}_{c-1}.{kind}"),
                    )
                ),
            )
        ),
        ("head", "last_linear"),
    ),
    ignored=(_NO_COUNTERS,),
)

_RESNET_STEM = ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a")
_RESNET_V2 = Layout(
    names=(
        *((f"stem_{{kind}}{c}", f"{name}.{{kind}}") for c, name in enumerate(_RESNET_STEM, 1)),
        ("stage3_mixed_branch1_{kind}1", "mixed_5b.branch0.{kind}"),
        ("stage3_mixed_branch4_{kind}1", "mixed_5b.branch3.1.{kind}"),
        ("stage3_mixed_branch{n}_{kind}{c}", "mixed_5b.branch{n-1}.{c-1}.{kind}"),
        ("stage4_reduction_branch1_{kind}1", "mixed_6a.branch0.{kind}"),
        ("stage4_reduction_branch{n}_{kind}{c}", "mixed_6a.branch{n-1}.{c-1}.{kind}"),
        ("stage5_reduction_branch{n}_{kind}{c}", "mixed_7a.branch{n-1}.{c-1}.{kind}"),
        *(
            (f"{ours}_{part}", f"{theirs}.{there}")
            for ours, theirs in (
                ("stage3_block{b}", "repeat.{b-1}"),
                ("stage4_block{b}", "repeat_1.{b-1}"),
                ("stage5_block10", "block8"),
                ("stage5_block{b}", "repeat_2.{b-1}"),
            )
            for part, there in (
                ("conv", "conv2d"),
                ("branch1_{kind}1", "branch0.{kind}"),
                ("branch{n}_{kind}{c}", "branch{n-1}.{c-1}.{kind}"),
            )
        ),
        ("final_{kind}1", "conv2d_7b.{kind}"),
        ("head", "classif"),
    ),
    ignored=(_NO_COUNTERS,),
    options={"gamma": True},
)


def _numbered(*blocks: str):
    """Names of layers that keras.applications leaves to Keras, which counts them as they are made.

    Args:
        *blocks: A module or more each, `"name: parts | parts"`, with the parts of each branch;
            `"stage3_block1: 1 | 1 2"` is branch1_conv1, branch2_conv1 and branch2_conv2.
    """
    count = 0
    for block in blocks:
        name, branches = block.split(": ")
        for branch, parts in enumerate(branches.split("|"), start=1):
            path = name if name == "stem" else f"{name}_branch{branch}"
            for part in parts.split():
                count += 1
                yield f"{path}_conv{part}", f"conv2d_{count}"
                yield f"{path}_bn{part}", f"batch_normalization_{count}"


_KERAS_V3 = Layout(
    names=(
        *_numbered(
            "stem: 1 2 3 4 5",
            *(f"stage3_block{b}: 1 | 1 2 | 1 2 3 | 1" for b in (1, 2, 3)),
            "stage4_reduction: 1 | 1 2 3",
            *(f"stage4_block{b}: 1 | 1 2 3 | 1 2 3 4 5 | 1" for b in (1, 2, 3, 4)),
            "stage5_reduction: 1 2 | 1 2 3 4",
            *(f"stage5_block{b}: 1 | 1 2a 2b | 1 2 3a 3b | 1" for b in (1, 2)),
        ),
        ("head", "predictions"),
    ),
)

_KERAS_RESNET_V2 = Layout(
    names=(
        *_numbered(
            "stem: 1 2 3 4 5",
            "stage3_mixed: 1 | 1 2 | 1 2 3 | 1",
            *(f"stage3_block{b}: 1 | 1 2 | 1 2 3" for b in range(1, 11)),
            "stage4_reduction: 1 | 1 2 3",
            *(f"stage4_block{b}: 1 | 1 2 3" for b in range(1, 21)),
            "stage5_reduction: 1 2 | 1 2 | 1 2 3",
            *(f"stage5_block{b}: 1 | 1 2 3" for b in range(1, 11)),
        ),
        ("stage3_block{b}_conv", "block35_{b}_conv"),
        ("stage4_block{b}_conv", "block17_{b}_conv"),
        ("stage5_block{b}_conv", "block8_{b}_conv"),
        ("final_conv1", "conv_7b"),
        ("final_bn1", "conv_7b_bn"),
        ("head", "predictions"),
    ),
)

LAYOUTS = {
    "torchvision": {"googlenet": _GOOGLENET, "inception_v3": _V3},
    "timm": {"inception_v3": _V3, "inception_v4": _V4, "inception_resnet_v2": _RESNET_V2},
    "keras.applications": {
        "inception_v3": _KERAS_V3,
        "inception_resnet_v2": _KERAS_RESNET_V2,
    },
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"

# Of googlenet only torchvision publishes weights, as a pickle, which is never loaded; of
# inception_v2 nobody does in a format that is read here.
PUBLISHED = {
    "inception_v3": Published(
        "keras.applications",
        "InceptionV3",
        f"{_KERAS}inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
        "md5:9a0d58056eeedaa3f26cb7ebd46da564",
    ),
    "inception_v4": Published(
        "timm",
        "inception_v4.tf_in1k",
        "https://huggingface.co/timm/inception_v4.tf_in1k/resolve/main/model.safetensors",
    ),
    "inception_resnet_v2": Published(
        "keras.applications",
        "InceptionResNetV2",
        f"{_KERAS}inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
        "md5:e693bd0210a403b3192acc6073ad2e96",
    ),
}
