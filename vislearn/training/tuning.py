"""How much of a network with weights is trained: `vislearn train --tune`.

The four quadrants of transfer learning: few images that resemble those of the weights need a new
head only (`head`), few that differ the last stages (`stages:2`), many the whole network (`all`),
with smaller rates below; `adapters` trains those and the head, on a body that other domains share;
`norms` trains the scales and shifts of the normalisation alone (arXiv:2003.00152).
"""

import dataclasses
import re

import keras

from vislearn.training import transfer
from vislearn.training.recipes import Recipe

KINDS = ("head", "stages", "all", "adapters", "norms")
HEAD = "head"


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What of a network is trained.

    Attributes:
        kind: One of `KINDS`.
        stages: Of `"stages"`: how many, counted from the last.
    """

    kind: str
    stages: int = 0

    @classmethod
    def parse(cls, text: str) -> "Tuning":
        """Reads `"head"`, `"stages:2"`, `"all"`, `"adapters"` or `"norms"`.

        Raises:
            ValueError: If the text is none of these.
        """
        match = re.fullmatch(r"(head|all|adapters|norms)|stages:([0-9]+)", text)
        if match is None:
            raise ValueError(f"tune={text!r} must be head, stages:N, all, adapters or norms.")
        return cls(match[1]) if match[1] else cls("stages", int(match[2]))

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe of a family, changed for weights that are good already.

        A tenth of the rate, so that they are not forgotten; with `"all"`, less from stage to stage
        towards the pixels. A head alone is a convex matter: Adam, and no augmentation, since the
        features are computed once.
        """
        if self.kind == "head":
            return dataclasses.replace(
                recipe,
                epochs=100,
                batch_size=64,
                optimizer="adamw",
                learning_rate=1e-2,
                schedule="cosine",
                weight_decay=1e-2,
                label_smoothing=0.0,
                augment="none",
                patience=100,
                clip_norm=None,
                agc=None,
                ema=0.0,
            )
        decay = 0.7 if self.kind == "all" else 1.0
        return dataclasses.replace(
            recipe, learning_rate=recipe.learning_rate / 10, layer_decay=decay
        )

    def apply(self, network: keras.Model) -> None:
        """Holds fast what is not trained.

        Raises:
            ValueError: If the network has no head, not so many stages, no adapters, or no
                normalisation.
        """
        if HEAD not in {layer.name for layer in network.layers}:
            raise ValueError(f"tune={self.kind!r}: {network.name} has no layer {HEAD!r}.")
        if self.kind == "head":
            transfer.freeze(network)
        elif self.kind == "stages":
            transfer.thaw(network, self.stages)
        elif self.kind == "adapters":
            body = _body(network)
            for name in body:
                network.get_layer(name).trainable = False
        elif self.kind == "norms":
            _thaw_norms(network)


def _body(network: keras.Model) -> list[str]:
    from vislearn.models.classification.resnet_adapter import body_layers

    body = body_layers(network)
    if not any("_adapter" in layer.name for layer in network.layers):
        raise ValueError(
            f"tune='adapters': {network.name} has none; residual_adapter_resnet26 has."
        )
    return body


def _thaw_norms(network: keras.Model) -> None:
    kinds = (
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
        keras.layers.GroupNormalization,
    )
    if not any(isinstance(layer, kinds) for layer in network.layers):
        raise ValueError(f"tune='norms': {network.name} has no normalisation.")
    for layer in network.layers:
        layer.trainable = isinstance(layer, kinds)


def begin_tuning(network: keras.Model, dataset, tune: str | None, seed: int):
    """What of a network is trained, and on what.

    Args:
        network: The whole network; what is not trained is held fast.
        dataset: What it is trained on.
        tune: As `Tuning.parse` takes it; None for all of it in the usual way.
        seed: Seed of the order of features.

    Returns:
        The model that is trained, its data, and the `Probe` where it is the head alone, else None.

    Raises:
        ValueError: As of `Tuning.apply`.
    """
    tuning = None if tune is None else Tuning.parse(tune)
    if tuning is None:
        return network, dataset, None
    tuning.apply(network)
    if tuning.kind != "head":
        return network, dataset, None
    probe = Probe(network, dataset, seed)
    return probe.model, probe.data, probe


class Probe:
    """The head of a network, apart, and what it learns from: the features of each image, once.

    Attributes:
        model: From features `(batch, features)` to logits; its layer is `head`.
        data: The features, with the interface of a `Dataset` as far as training needs it.
    """

    def __init__(self, network: keras.Model, dataset, seed: int):
        self.network = network
        head = network.get_layer(HEAD)
        if not isinstance(head, keras.layers.Dense):
            raise ValueError(f"tune='head': the head of {network.name} is no dense layer.")
        body = keras.Model(network.inputs, head.input)
        features = {
            split: transfer.features(body, (b["images"] for b in dataset.batches(split, 64)))
            for split in ("train", "validation")
            if getattr(dataset, split) is not None
        }
        train = features["train"]
        self.scaling = transfer.Scaling.of(train)
        inputs = keras.Input(train.shape[1:], name="features")
        start = keras.initializers.Zeros()
        layer = keras.layers.Dense(head.units, kernel_initializer=start, dtype="float32", name=HEAD)
        self.model = keras.Model(inputs, layer(inputs), name=f"{network.name}_probe")
        self.data = _Features(
            {split: self.scaling.apply(x) for split, x in features.items()},
            {split: dataset.annotations(split) for split in features},
            dataset,
            seed,
        )

    def install(self, network: keras.Model) -> None:
        """Puts the trained head into a network, in units of its own features."""
        weights = self.model.get_layer(HEAD).get_weights()
        network.get_layer(HEAD).set_weights(self.scaling.undone(*weights))


class _Features:
    """Features and targets in an order that depends on seed and epoch alone."""

    def __init__(self, features, annotations, dataset, seed: int):
        self.features, self.seed = features, seed
        self.batch_size, self.steps_per_epoch = dataset.batch_size, dataset.steps_per_epoch
        self.targets = {
            split: dataset.target({"images": x, **annotations[split]})[1]
            for split, x in features.items()
        }

    @property
    def validation(self):
        """Batches of the validation split, or None."""
        import tensorflow as tf

        if "validation" not in self.features:
            return None
        pair = (self.features["validation"], self.targets["validation"])
        return tf.data.Dataset.from_tensor_slices(pair).batch(self.batch_size)

    def training_batches(self, start_epoch: int = 0):
        """Endless batches, `steps_per_epoch` to the epoch, as `Dataset.training_batches`."""
        import tensorflow as tf

        x, y = (tf.constant(part["train"]) for part in (self.features, self.targets))
        size, steps = self.batch_size, self.steps_per_epoch

        def of_epoch(epoch):
            seed = tf.random.fold_in(tf.constant([self.seed, 0], tf.int64), epoch)
            order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed)
            batches = tf.data.Dataset.from_tensor_slices(order[: steps * size]).batch(size, True)
            return batches.map(lambda chosen: (tf.gather(x, chosen), tf.gather(y, chosen)))

        return tf.data.Dataset.counter(start_epoch).flat_map(of_epoch)
