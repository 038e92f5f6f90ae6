"""Transfer learning: parts of a network held fast, slower learning below, features computed once.

A part is named by an endpoint, as `create_backbone` names its levels: `C4` of a convolutional
network, `block6_out` of a transformer. What lies upstream of it in the graph is the part.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from vislearn.training.adaptive_clipping import ADAPTIVE
from vislearn.training.optimizers import KINDS, extend

_ENDPOINT = re.compile(r"C\d+|block\d+_out")


def endpoints(model: keras.Model) -> list[str]:
    """The layers that end the stages of a network, the first stage first.

    Raises:
        ValueError: If it has none.
    """
    sizes = {
        layer.name: len(upstream(model, layer.name))
        for layer in model.layers
        if _ENDPOINT.fullmatch(layer.name)
    }
    if not sizes:
        raise ValueError(
            f"{model.name} has no endpoints such as 'C3' or 'block6_out', which stages of "
            "`tune` and rates of `layer_decay` are counted by."
        )
    return sorted(sizes, key=sizes.get)


def upstream(model: keras.Model, endpoint: str) -> set[str]:
    """The names of a layer and of all layers that its output depends on.

    Raises:
        ValueError: If the model has no such layer.
    """
    names = {layer.name for layer in model.layers}
    if endpoint not in names:
        known = sorted(name for name in names if _ENDPOINT.fullmatch(name))
        raise ValueError(f"{model.name} has no layer {endpoint!r}; its endpoints are {known}.")
    found, seen = set(), set()
    # A layer of a graph that several models share has several outputs: that of this one counts.
    waiting = [
        tensor
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if node.operation.name == endpoint
        for tensor in node.outputs
    ]
    while waiting:
        operation, node, _ = waiting.pop()._keras_history
        if (operation.name, node) not in seen:
            seen.add((operation.name, node))
            found.add(operation.name)
            waiting += operation._inbound_nodes[node].input_tensors
    return found & names


def freeze(model: keras.Model, upto: str | None = None) -> list[str]:
    """Holds the weights up to an endpoint fast, and the statistics of batch norm there.

    Keras runs a batch norm that is not trainable as in inference, also while training: its moving
    averages stay what they are, and normalise. Dropout goes on. A compiled model has to be compiled
    again.

    Args:
        model: A functional model.
        upto: Endpoint, or any layer; None for all of the network but the layer `head`.

    Returns:
        The names of the layers with weights that are held fast by this.

    Raises:
        ValueError: If the model has no such layer.
    """
    if upto is None:
        part = {layer.name for layer in model.layers} - {"head"}
    else:
        part = upstream(model, upto)
    return _set_trainable(model, part, False)


def thaw(model: keras.Model, stages: int) -> list[str]:
    """Trains the last stages and what comes after them, and holds the rest fast.

    Gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146) is `thaw` with one stage more from
    time to time. A compiled model has to be compiled again.

    Args:
        model: A functional model with endpoints.
        stages: How many of the stages that `endpoints` tell apart; 0 for what comes after the last,
            all of them for the whole network.

    Returns:
        The names of the layers with weights that are trained.

    Raises:
        ValueError: If there are fewer stages, or none.
    """
    ends = endpoints(model)
    if not 0 <= stages <= len(ends):
        raise ValueError(f"stages={stages!r} must be 0 to {len(ends)}: {model.name} has {ends}.")
    frozen = upstream(model, ends[-stages - 1]) if stages < len(ends) else set()
    _set_trainable(model, frozen, False)
    return _set_trainable(model, {layer.name for layer in model.layers} - frozen, True)


def _set_trainable(model, names, value: bool) -> list[str]:
    """Sets the flag of the named layers that have weights, and returns these."""
    changed = [layer for layer in model.layers if layer.name in names and layer.weights]
    for layer in changed:
        layer.trainable = value
    return [layer.name for layer in changed]


def layer_rates(model: keras.Model, decay: float) -> dict[str, float]:
    """Factors on the learning rate that fall from stage to stage towards the input.

    Discriminative fine-tuning (Howard and Ruder 2018, arXiv:1801.06146, section 3.2), also known as
    layer-wise decay: what comes after the last of the `endpoints` has the factor 1, the last stage
    `decay`, the stage before `decay`^2, and so on.

    Args:
        model: A functional model with endpoints.
        decay: Factor from one stage to the one before, above 0 and at most 1.

    Returns:
        The factor of every trainable variable, by its path.

    Raises:
        ValueError: If the decay is out of range, or the model has no endpoints.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay={decay!r} must be above 0 and at most 1.")
    ends = endpoints(model)
    power = {}
    for steps, end in enumerate(reversed(ends), start=1):
        power |= dict.fromkeys(upstream(model, end), steps)
    return {
        variable.path: decay ** power.get(layer.name, 0)
        for layer in model.layers
        for variable in layer.trainable_variables
    }


class LayerRates:
    """An optimiser with a factor on the learning rate for each variable.

    A factor on the gradient would be no use: Adam divides by the size of the gradients. Here the
    rate itself is another one, in the step and in decoupled weight decay alike.
    """

    def __init__(self, *args, rates: Mapping[str, float] | None = None, **options):
        super().__init__(*args, **options)
        self.rates = dict(rates or {})

    def build(self, variables):
        super().build(variables)
        self._factors = [self.rates.get(variable.path, 1.0) for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def _apply_weight_decay(self, variables):
        if self.weight_decay is None:
            return
        # Keras decays by `weight_decay * learning_rate`; it reads the first while it traces.
        whole, groups = self.weight_decay, {}
        for variable in variables:
            factor = self._factors[self._get_variable_index(variable)]
            groups.setdefault(factor, []).append(variable)
        try:
            for factor, group in groups.items():
                self.weight_decay = whole * factor
                super()._apply_weight_decay(group)
        finally:
            self.weight_decay = whole

    def get_config(self):
        return {**super().get_config(), "rates": dict(self.rates)}


_WITH_RATES = extend(LayerRates, (*KINDS, *ADAPTIVE.values()))


def with_layer_rates(optimizer, rates: Mapping[str, float]):
    """An optimiser like the given one, with factors on the learning rate.

    Its variables are those of the given one, in the same order, so that the state of a training
    can be saved and restored by its place.

    Args:
        optimizer: A newly made optimiser, such as `build_optimizer` returns.
        rates: Factors by variable path, such as `layer_rates` gives; 1 for others.

    Raises:
        ValueError: If the optimiser is another one, or is in use already.
    """
    kind = _WITH_RATES.get(type(optimizer))
    if kind is None:
        known = sorted(one.__name__ for one in _WITH_RATES)
        raise ValueError(f"optimizer={type(optimizer).__name__} must be one of {known}.")
    if optimizer.built:
        raise ValueError("optimizer has been used already: give a newly made one.")
    new = kind.from_config({**optimizer.get_config(), "rates": dict(rates)})
    # What is not decayed is no part of the configuration.
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(new, name, getattr(optimizer, name))
    return new


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Brings features to mean 0 and deviation 1, so that one learning rate does for every body.

    Attributes:
        mean, deviation: Of each feature, `(features,)`.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Scaling":
        """The scaling of features `(images, features)`."""
        deviation = features.std(axis=0)
        constant = deviation <= 1e-6 * max(1e-6, deviation.max())  # Which says nothing.
        return cls(features.mean(axis=0), np.where(constant, 1.0, deviation))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Scaled features."""
        return (features - self.mean) / self.deviation

    def undone(self, kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        """The weights of a head on the features as they are, from those on scaled ones."""
        kernel = kernel / self.deviation[:, None]
        return [kernel, bias - self.mean @ kernel]


def features(body: keras.Model, batches: Iterable) -> np.ndarray:
    """What a network that is not trained makes of images.

    Args:
        body: From images to `(batch, features)`.
        batches: Images `(batch, height, width, channels)`, 0..255.

    Returns:
        `(images, features)`, float32.
    """
    found = [
        keras.ops.convert_to_numpy(body.predict_on_batch(np.asarray(images, "float32")))
        for images in batches
    ]
    return np.concatenate(found).astype("float32")
