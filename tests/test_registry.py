"""Names to builders: registering, finding, describing and building."""

import keras
import pytest

import vislearn
from vislearn import registry
from vislearn.registry import Paper, register

PAPER = Paper("A Title", "An Author", 2000, "https://example.org")
FACTS = {"paper": PAPER, "family": "toy", "input_shape": (4, 4, 1), "num_classes": 2}


@pytest.fixture
def entries(monkeypatch):
    """A copy of the registry that a test may add to."""
    registry.list_models()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    return registry._entries


def toy(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing=None,
    name="toy",
    units=3,
):
    """A network of two dense layers."""
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(units)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x), name=name)


def test_registered_variant_is_built_and_described(entries):
    register("toy_wide", **FACTS, units=7, reference="a table", tiny={"units": 1})(toy)
    model = vislearn.create_model("toy_wide")
    assert model.name == "toy_wide"
    assert model.count_params() == 16 * 7 + 7 + 7 * 2 + 2
    assert vislearn.create_model("toy_wide", units=1, num_classes=3).output_shape == (None, 3)
    info = vislearn.model_info("toy_wide")
    assert (info.title, info.authors, info.year, info.url) == (
        "A Title",
        "An Author",
        2000,
        "https://example.org",
    )
    assert (info.variant, info.tiny, info.options) == ({"units": 7}, {"units": 1}, ("units",))
    with pytest.raises(TypeError):
        info.variant["units"] = 8


@pytest.mark.parametrize("name", ["", "Toy", "2toy", "toy-wide", "toy wide"])
def test_malformed_names_are_refused(name, entries):
    with pytest.raises(ValueError, match="name="):
        register(name, **FACTS)


def test_a_name_is_taken_once(entries):
    register("toy", **FACTS)(toy)
    with pytest.raises(ValueError, match="name='toy' is registered already"):
        register("toy", **FACTS)(toy)


@pytest.mark.parametrize("where", ["variant", "tiny"])
def test_arguments_that_the_builder_lacks_are_refused(where, entries):
    wrong = {"unitz": 7} if where == "variant" else {"tiny": {"unitz": 7}}
    with pytest.raises(ValueError, match="unitz"):
        register("toy", **FACTS, **wrong)(toy)


def test_builders_start_with_the_common_arguments(entries):
    def swapped(
        *, num_classes, input_shape, classifier_activation=None, preprocessing=None, name="swapped"
    ):
        """Takes the right arguments in the wrong order."""

    with pytest.raises(ValueError, match="as its first arguments"):
        register("swapped", **FACTS)(swapped)


def test_natural_order():
    names = vislearn.list_models(pattern="resnet?*")
    numbers = [name for name in names if name in ("resnet18", "resnet50", "resnet101")]
    assert numbers == ["resnet18", "resnet50", "resnet101"]


def test_filters(entries):
    register("toy", **FACTS, task="toys")(toy)
    assert vislearn.list_models(task="toys") == ["toy"]
    assert vislearn.list_models(family="toy") == ["toy"]
    assert vislearn.list_models(pattern="to?") == ["toy"]
    assert vislearn.list_models(pattern="nothing*") == []
    assert "toy" not in vislearn.list_models(task="classification")
    for argument in ("task", "family"):
        with pytest.raises(ValueError, match=f"{argument}='tois'"):
            vislearn.list_models(**{argument: "tois"})


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'resnet50'"):
        vislearn.create_model("resnet5O")
    with pytest.raises(ValueError, match="list_models"):
        vislearn.model_info("###")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_a_file(tmp_path, suffix):
    arguments = {"input_shape": (8, 8, 1), "num_classes": 3}
    model = vislearn.create_model("mlp", **arguments)
    path = tmp_path / f"mlp{suffix}"
    if suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)
    loaded = vislearn.create_model("mlp", **arguments, weights=str(path))
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert (ours == theirs).all()


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "small.weights.h5"
    vislearn.create_model("mlp", input_shape=(8, 8, 1), num_classes=3).save_weights(path)
    with pytest.raises(ValueError, match="shape"):
        vislearn.create_model("mlp", input_shape=(8, 8, 1), num_classes=4, weights=str(path))


def test_missing_weights_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        vislearn.create_model("linear_classifier", weights=str(tmp_path / "no.weights.h5"))


def test_backbone():
    backbone = vislearn.create_backbone(
        "resnet18", input_shape=(64, 96, 3), levels=("C2", "C5"), width=8, repeats=(1, 1, 1, 1)
    )
    shapes = {level: tensor.shape for level, tensor in backbone.output.items()}
    assert shapes == {"C2": (None, 16, 24, 8), "C5": (None, 2, 3, 64)}


@pytest.mark.parametrize("levels", [("C3", "C9"), ()])
def test_backbone_without_such_levels(levels):
    with pytest.raises(ValueError, match="levels="):
        vislearn.create_backbone("resnet20_cifar", levels=levels, depth=8)


def test_a_model_without_stages_has_no_levels():
    with pytest.raises(ValueError, match=r"lenet5_1998 has the levels \[\]"):
        vislearn.create_backbone("lenet5_1998")
