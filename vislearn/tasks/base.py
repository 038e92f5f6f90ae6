"""What every task answers for: the rest of the house asks a task and never which one it is."""

import abc
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

# Largest absolute difference that counts as the same number; pixel values are compared in 0..1.
TOLERANCE = 1e-4

Arrays = dict[str, np.ndarray]

_SHOWN = 12  # pictures in a report


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Answers of an exported file beside those of Keras.

    Attributes:
        max_difference: Largest absolute difference of each float answer.
        agreement: Share of what was decided (classes, pixels, objects) that is the same, 0 to 1;
            None where numbers are answered and nothing is decided.
        unexplained: Number of decisions that differ although Keras's scores do not tie.
    """

    max_difference: dict[str, float]
    agreement: float | None
    unexplained: int


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What the numbers of a tensor are, as the model card and `model.json` say it.

    Attributes:
        text: In words.
        range: The lowest and the highest value that can occur; None where there is no bound.
        unit: Such as `"probability"`; None where there is none.
    """

    text: str
    range: tuple[float, float] | None = None
    unit: str | None = None


PIXELS = Meaning("pixels 0..255; the file scales them itself", (0, 255), "pixel level")
NOISE = Meaning("standard normal noise", unit="standard deviations")
PICTURE = Meaning("the picture", (0, 255), "pixel level")


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of a signature.

    Attributes:
        name: Its name in the exported file.
        shape: Without the batch axis.
        dtype: `"uint8"`, `"int32"` or `"float32"`.
        meaning: What its numbers are.
        sample: From a count and a seed to example values `(count, *shape)`; None for images, which
            are taken from the data.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: Meaning
    sample: Callable[[int, int], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function that an export writes: named tensors in, named answers out.

    Attributes:
        name: Such as `"predict"`, `"decoder"` or `"sampler"`.
        inputs: What it takes.
        function: From a dictionary of tensors to a dictionary of tensors.
        model: The Keras model whose weights it uses.
        meanings: What each answer is.
        shows: Key of the answer that is a batch of pictures (uint8), if there is one.
    """

    name: str
    inputs: tuple[Input, ...]
    function: Callable[[dict[str, Any]], dict[str, Any]]
    model: Any
    meanings: dict[str, Meaning]
    shows: str | None = None

    def samples(self, count: int, seed: int = 0) -> Arrays:
        """Example values of every input; random pixels where it takes images."""
        rng = np.random.default_rng(seed)
        return {
            input.name: input.sample(count, seed)
            if input.sample
            else rng.integers(0, 256, (count, *input.shape), dtype=np.uint8)
            for input in self.inputs
        }


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        text: What the reader sees there.
        figure: `matplotlib.figure.Figure`.
    """

    title: str
    text: str
    figure: Any


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """What a network learns from, is measured by, and answers.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
        family: Family of the network, where losses or answers differ between families.
    """

    classes: tuple[str, ...]
    family: str | None = None

    name: ClassVar[str]
    # The metric that early stopping watches and that int8 files are judged by.
    # None where no figure of an epoch tells how good the network is: the last epoch is kept then.
    metric: ClassVar[str | None]
    metric_mode: ClassVar[str] = "max"
    # Whether the metric is one of decoded answers, which Keras can't compute from raw outputs.
    measures_answers: ClassVar[bool] = False
    # Whether pictures go in and answers come out, or pictures are made from noise.
    takes_images: ClassVar[bool] = True
    # What a server calls the answering of pictures: a name of a signature of the SavedModel.
    verb: ClassVar[str] = "predict"
    # Whether a recipe may name its loss.
    names_loss: ClassVar[bool] = False
    # Whether its loss takes a recipe's label smoothing.
    smooths_labels: ClassVar[bool] = False
    # How many augmented views of each picture it learns from.
    views: ClassVar[int] = 1
    # How pictures of another size are fitted, unless somebody says otherwise.
    resize: ClassVar[str] = "crop"

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes={self.classes!r} holds a name twice.")

    def options(self) -> dict[str, Any]:
        """Its further attributes, such as thresholds, as JSON values."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in names if name not in ("classes", "family")}

    def contents(self) -> str:
        """What the annotations name, in a few words: `"10 classes"`; empty where there are none."""
        return f"{len(self.classes)} classes" if self.classes else ""

    def num_classes(self, published: int) -> int:
        """The `num_classes` that `create_model` gets, from the published number."""
        del published
        return len(self.classes)

    # Training.

    def fitted(self, truth: Arrays) -> dict[str, Any]:
        """Its attributes that follow from the annotations of the training data, as JSON values."""
        del truth
        return {}

    @abc.abstractmethod
    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        """From a dictionary of the data set to the `(x, y)` of `model.fit`."""

    def loss(self, recipe):
        """The Keras loss of raw outputs; None where there is an `objective`."""
        del recipe

    def metrics(self) -> list:
        """Keras metrics of raw outputs, for the curves."""
        return []

    def objective(self, network, recipe):
        """What is minimised, for `ObjectiveTrainer`; None where `loss` says it."""
        del network, recipe

    def trainer(self, network, recipe, steps: int, seed: int = 0):
        """The compiled trainer, where one loss and one optimiser are not enough; else None.

        Args:
            network: The network of the registry, whose weights are kept.
            recipe: How it is trained.
            steps: Optimiser steps of the whole training.
            seed: Seed of what is drawn while training.
        """
        del network, recipe, steps, seed

    # Answers.

    def decode(self, outputs) -> dict[str, Any]:
        """From raw outputs to named answers of fixed shape, in operations that exports have."""
        raise self.no_answers()

    def meanings(self, network) -> dict[str, Meaning]:
        """What each decoded answer is."""
        del network
        return {}

    def predict(self, network) -> Signature:
        """From pictures to decoded answers."""
        from keras import ops

        def predict(inputs):
            pixels = ops.cast(inputs["image"], "float32")
            return self.decode(network(pixels, training=False))

        image = Input("image", tuple(network.input_shape[1:]), "uint8", PIXELS)
        return Signature("predict", (image,), predict, network, self.meanings(network))

    def signatures(self, network) -> tuple[Signature, ...]:
        """What an export writes: `predict`, unless the task says otherwise."""
        return (self.predict(network),)

    def check_model(self, network) -> None:
        """Finds what would otherwise become wrong answers under right names.

        Raises:
            ValueError: If the network does not give what `decode` takes.
        """
        del network

    def compare(self, expected: Arrays, actual: Arrays) -> Comparison:
        """An exported file's answers beside those of Keras, of the same shapes and types."""
        return Comparison(differences(expected, actual), None, 0)

    def samples(self, network, count: int, seed: int = 0) -> np.ndarray | None:
        """Pictures that a generative network makes from noise.

        Args:
            network: The model of the registry.
            count: How many.
            seed: Seed of the noise.

        Returns:
            uint8 `(count, height, width, channels)`; None where the task makes no pictures.
        """
        del network, count, seed

    # Figures and pictures.

    def check_truth(self, truth: Arrays) -> None:
        """Finds annotations that `measure` could not be right about.

        Raises:
            ValueError: If one is missing, or has a wrong type, shape or range.
        """
        del truth

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """The metrics of decoded answers, beside the annotations of the data set."""
        raise self.no_answers()

    def sections(self, network, answers: Arrays | None, truth: Arrays | None) -> list[Section]:
        """What a report shows: some held-out pictures with their answers, and samples.

        Args:
            network: The trained network.
            answers, truth: Answers for held-out pictures and their annotations; None where none
                were asked for.
        """
        found = []
        if answers is not None:
            count = len(truth["images"])
            some = np.unique(np.linspace(0, count - 1, _SHOWN).round().astype(int))
            figure = self.draw(truth["images"][some], _rows(answers, some), _rows(truth, some))
            text = f"{len(some)} of {count:,} held-out pictures, at even distances."
            found.append(Section("Answers", text, figure))
        samples = self.samples(network, 36)
        if samples is not None:
            from vislearn import pictures

            text = "Pictures that the network makes from noise; not selected."
            found.append(Section("Samples", text, pictures.image_grid(samples)))
        return found

    def draw(self, images: np.ndarray, answers: Arrays, truth: Arrays | None, titles=None):
        """A `matplotlib.figure.Figure` of pictures with their answers."""
        raise self.no_answers()

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        """The answer for one picture in words, each with its score, the surest first."""
        raise self.no_answers()

    def no_answers(self) -> ValueError:
        """What to say to someone who asks about pictures where there are no answers."""
        return ValueError(
            f"A network of the family {self.family} makes pictures and answers nothing about them: "
            "it is judged by a classifier (vislearn evaluate --judge)."
        )

    def true_label(self, truth: Arrays, index: int) -> str | None:
        """The true answer for one picture, where a word says it."""
        del truth, index

    def record(self, answers: Arrays, truth: Arrays | None, index: int, found) -> dict[str, Any]:
        """The answer for one picture as JSON values.

        Args:
            answers: Decoded answers.
            truth: Annotations, if there are any.
            index: Number of the picture.
            found: What `describe` says of it.
        """
        del answers, truth, index
        return {"answers": [{"label": label, "score": score} for label, score in found]}


def _rows(arrays: Arrays, indices) -> Arrays:
    return {name: value[indices] for name, value in arrays.items()}


def normal_noise(shape: tuple[int, ...]) -> Callable[[int, int], np.ndarray]:
    """From a count and a seed to standard normal noise `(count, *shape)`, float32."""

    def draw(count: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((count, *shape), "float32")

    return draw


def with_options(kind: Callable, objective: dict[str, Any], **given):
    """What `kind` makes of the options that a recipe has for it, and of what is given besides.

    Args:
        kind: Class of a loss or of an objective.
        objective: `Recipe.objective`, from the names of options to their values.
        **given: Arguments that are not the recipe's to choose.

    Raises:
        ValueError: If an option is unknown, is of a wrong type, or is out of range.
    """
    options = {
        name: parameter.annotation
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in {*given, "name"}
    }
    if unknown := sorted(objective.keys() - options.keys()):
        raise ValueError(f"objective has no options {unknown}; it has {sorted(options)}.")
    for name, value in objective.items():
        if not _fits(value, options[name]):
            wanted = inspect.formatannotation(options[name])
            raise ValueError(f"objective: {name}={value!r} must be of the type {wanted}.")
    return kind(**given, **objective)


def _fits(value, annotation) -> bool:
    """Whether a value is of a type; an integer will do for a float, and a truth only for itself."""
    if isinstance(value, bool):
        return annotation is bool
    whole = isinstance(value, int) and isinstance(0.0, annotation)
    return whole or isinstance(value, annotation)


def refuse_activation(activation, added: str) -> None:
    """Finds an activation that decoding would apply once more.

    Args:
        activation: Keras activation that the network ends in.
        added: What decoding adds, such as `"softmax"`.

    Raises:
        ValueError: If it is softmax or sigmoid.
    """
    import keras

    if activation in (keras.activations.softmax, keras.activations.sigmoid):
        raise ValueError(
            f"model ends in {activation.__name__}, and decoding adds the {added}: build it with "
            "classifier_activation=None."
        )


def differences(expected: Arrays, actual: Arrays) -> dict[str, float]:
    """Largest absolute difference of each float answer, and of pictures in units of 0..1.

    A picture that was rounded to uint8 may differ by one level where the value before lay on the
    edge between two; that counts as no difference.
    """
    found = {}
    for name, value in expected.items():
        other = actual[name]
        if np.issubdtype(value.dtype, np.floating):
            gap = np.abs(value.astype(np.float64) - other)
            # NaN compares false with every bound; nothing may pass by being undefined.
            found[name] = float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))
        elif value.dtype == np.uint8:
            levels = np.abs(value.astype(int) - other.astype(int)).max(initial=0)
            found[name] = max(0, int(levels) - 1) / 255
    return found
