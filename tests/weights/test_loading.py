"""Files of weights: what fits, what does not, and what is said about it."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.registry import model_info
from vislearn.weights import Layout, build_with_weights, layouts, published

SMALL = {"input_shape": (32, 32, 3), "width": 4, "repeats": (1, 1, 1, 1)}


def create(**options) -> keras.Model:
    return vislearn.create_model("resnet18", **{**SMALL, **options})


def torch_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a small resnet18 as torchvision names and turns them."""
    names = {"gamma": "weight", "beta": "bias", "kernel": "weight", "bias": "bias"}
    names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    layout, found = layouts("resnet")["torchvision"], {}
    for variable in model.weights:
        layer, name = variable.path.split("/")
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        if name == "kernel":
            value = np.moveaxis(value, (-1, -2), (0, 1))
        found[f"{layout.module(layer)}.{names[name]}"] = value
    return found


@pytest.fixture
def torch_file(tmp_path):
    """Writes weights, with changes, and gives the path of the file."""
    from safetensors.numpy import save_file

    def write(**changes) -> str:
        source = torch_weights(create(num_classes=7))
        source |= {key.replace("__", "."): value for key, value in changes.items()}
        path = tmp_path / "model.safetensors"
        kept = {k: np.ascontiguousarray(v) for k, v in source.items() if v is not None}
        save_file(kept, path)
        return str(path)

    return write


def build(**options):
    return lambda **expected: create(**{**expected, **options})


def test_report(torch_file):
    model, report = build_with_weights(
        model_info("resnet18"),
        build(num_classes=7),
        torch_file(bn1__num_batches_tracked=np.ones(1)),
    )
    assert report.complete
    assert len(report.matched) == len(model.weights)
    assert str(report) == f"{len(model.weights)} weights found"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn1__weight": None}, r"4 missing in the file: stem_bn/gamma, "),
        ({"bn1__weight": np.ones(5, "float32")}, r"stem_bn/gamma \(4,\) \(there \(5,\)\)"),
        ({"bn9__weight": np.ones(5, "float32")}, r"1 not used: bn9.weight"),
        ({"layer1__0__conv1__bias": np.ones(3, "float32")}, r"stage1_block1_conv1/bias"),
    ],
    ids=["missing", "shape", "unused", "bias"],
)
def test_what_does_not_fit(torch_file, change, message):
    with pytest.raises(ValueError, match=message):
        create(num_classes=7, weights=torch_file(**change))


def test_new_head_for_other_classes(torch_file):
    path = torch_file()
    whole, other = create(num_classes=7, weights=path), create(num_classes=3, weights=path)
    for layer in whole.layers:
        if layer.name != "head":
            for one, two in zip(
                layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(one, two)
    assert other.output_shape == (None, 3)


def test_head_of_the_published_number_has_to_fit(torch_file):
    with pytest.raises(ValueError, match=r"head/kernel \(32, 1000\) \(there \(32, 7\)\)"):
        create(weights=torch_file())


def test_without_head(torch_file):
    path = torch_file()
    assert create(num_classes=0, weights=path).output_shape == (None, 32)
    body = vislearn.create_backbone("resnet18", **SMALL, weights=path)
    kernel = torch_weights(create(num_classes=7, weights=path))["conv1.weight"]
    found = keras.ops.convert_to_numpy(body.get_layer("stem_conv").kernel)
    np.testing.assert_array_equal(found.transpose(3, 2, 0, 1), kernel)


def test_saved_model_with_another_head(tmp_path):
    whole = create(num_classes=7)
    path = tmp_path / "model.keras"
    whole.save(path)
    other = create(num_classes=3, weights=str(path))
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(m.get_layer("stem_conv").kernel) for m in (whole, other))
    )


def test_preprocessing_follows_the_weights(torch_file):
    """Unless the caller says otherwise."""
    asked = {}

    def note(**expected):
        asked.update(expected)
        return create(num_classes=7, **expected)

    file = torch_file()
    build_with_weights(model_info("resnet18"), note, file)
    assert asked == {}, "torchvision's preprocessing is our default"
    keras_layout = layouts("resnet")["keras.applications"]
    assert keras_layout.preprocessing == "caffe"
    scaled = create(preprocessing="caffe").get_layer("preprocess")(np.full((1, 1, 1, 3), 200.0))
    np.testing.assert_allclose(
        np.ravel(keras.ops.convert_to_numpy(scaled)), [200 - m for m in (123.68, 116.779, 103.939)]
    )


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("imagenett", ValueError, "weights='imagenett' must be None, 'imagenet' or a file"),
        ("model.pth", ValueError, "'model.pth' must be"),
        ("missing.safetensors", FileNotFoundError, "missing.safetensors"),
    ],
)
def test_errors(weights, error, message):
    with pytest.raises(error, match=message):
        create(weights=weights)


def test_nobody_published_weights():
    with pytest.raises(ValueError, match="lenet5 has no published weights"):
        vislearn.create_model("lenet5", weights="imagenet")


def test_not_of_keras_applications(tmp_path):
    import h5py

    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match=r"some.h5' is no weights file of keras.applications"):
        vislearn.create_model("resnet50", weights=str(path))
    with pytest.raises(ValueError, match=r"keras.applications has no resnet18"):
        create(weights=str(path))


def test_names():
    layout = Layout(names=(("a{b}_c{d}_{part}", "x.{b-1}.{d+2}.{part}"), ("fixed", None)))
    assert layout.module("a12_c3_conv1") == "x.11.5.conv1"
    assert layout.module("fixed") is None
    with pytest.raises(KeyError):
        layout.module("other")


def test_layout_of_one_model(monkeypatch):
    """Where a library names the models of a family in different ways, the first pattern counts."""
    one, two = Layout(names=(("a", "b"),)), Layout(names=())
    several = {"timm": {"resnet1*": one, "resnet*": two}, "torchvision": two}
    monkeypatch.setattr("vislearn.weights.families.resnet.LAYOUTS", several)
    assert layouts("resnet", "resnet18") == {"timm": one, "torchvision": two}
    assert layouts("resnet", "resnet50") == several | {"timm": two}
    assert layouts("resnet", "plain20_cifar") == {"torchvision": two}


@pytest.mark.parametrize("family", sorted({model_info(n).family for n in vislearn.list_models()}))
def test_published_files_have_a_layout(family):
    for name, file in published(family).items():
        assert model_info(name).family == family
        assert file.library in layouts(family, name)
        assert file.url.startswith("https://")
        if file.library == "keras.applications":
            assert hasattr(keras.applications, file.model)
            assert file.digest is None or file.digest.startswith(("md5:", "sha256:"))
