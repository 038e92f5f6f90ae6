"""What a network minimises that learns from an average of itself (arXiv:2104.14294)."""

import keras
from keras import layers, ops

from vislearn.layers import Centering, Directions
from vislearn.training.contrastive import check_features


class DistillationObjective:
    """DINO: the class that a teacher sees in one view of a picture is found in the other view.

    Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers",
    arXiv:2104.14294, Algorithm 1: a head on the features tells each view's distribution over
    classes that nobody has named. The teacher is the moving average of the student, head and all.
    Its answers are sharpened, so that they don't become uniform, and centred by their moving
    average, so that they don't become a single class (section 3.1). The two views are as large as
    the network's input; the small crops that the paper adds are not drawn.

    Args:
        network: A model built with `num_classes=0`, the student.
        prototypes: Number of classes K; thousands where there are many pictures, as the paper's
            65536 for ImageNet.
        projection: Size of the vectors that are compared with the classes' directions.
        temperature: Of the student's softmax.
        teacher_temperature: Of the teacher's, which has to be the lower one.
        momentum: Share of the teacher that is kept at each step; the paper has 0.996 and more, for
            some 100,000 steps.
        center_momentum: Share of the centre that is kept at each step.

    Attributes:
        networks: `(head, teacher, centering)`.

    Raises:
        ValueError: If the network gives anything but `(batch, features)`, or an argument is out of
            range.
    """

    parts = ("cross_entropy",)

    def __init__(
        self,
        network: keras.Model,
        prototypes: int = 128,
        projection: int = 256,
        temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        momentum: float = 0.97,
        center_momentum: float = 0.9,
    ):
        for name, value in (("prototypes", prototypes), ("projection", projection)):
            if value < 2:
                raise ValueError(f"{name}={value!r} must be at least 2.")
        if not 0 < teacher_temperature < temperature:
            raise ValueError(
                f"teacher_temperature={teacher_temperature!r} must be above 0 and below "
                f"temperature={temperature!r}."
            )
        for name, value in (("momentum", momentum), ("center_momentum", center_momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}={value!r} must be at least 0 and below 1.")
        check_features(network)
        self.temperature, self.teacher_temperature = temperature, teacher_temperature
        self.momentum = momentum
        head = _head(network.output_shape[-1], prototypes, projection)
        self._student = keras.Model(network.input, head(network.output))
        teacher = keras.models.clone_model(self._student)
        teacher.set_weights(self._student.get_weights())
        teacher.trainable = False
        centering = Centering(center_momentum, name="centering")
        centering.build(teacher.output_shape)
        self.networks = (head, teacher, centering)

    def forward(self, network, x, *, seed_generator, training: bool):
        """The answers of student and teacher to all views; the teacher follows while training.

        Args:
            network: Not used: the student is made of it.
            x: Two views of each picture, `(batch, 2, height, width, channels)`, 0..255.
            seed_generator: Not used: the views are drawn where the pictures are read.
            training: Whether layers behave as in training.

        Returns:
            Logits of the student, and of the teacher less their centre, each
            `(batch, 2, prototypes)`, float32.
        """
        del network, seed_generator
        _, teacher, centering = self.networks
        if training:  # After the student's last step.
            for mean, value in zip(teacher.weights, self._student.weights, strict=True):
                mean.assign(self.momentum * mean + (1 - self.momentum) * value)
        views = ops.reshape(x, (-1, *x.shape[2:]))  # (2 batch, height, width, channels)
        found = self._student(views, training=training)
        wanted = centering(teacher(views, training=False), training=training)
        return tuple(ops.reshape(each, (-1, 2, each.shape[-1])) for each in (found, wanted))

    def loss(self, y, outputs) -> dict:
        """The cross entropy of each view's student with the other view's teacher, the mean.

        Args:
            y: Not used: the teacher knows.
            outputs: What `forward` returns.
        """
        del y
        student, teacher = outputs
        wanted = ops.stop_gradient(ops.softmax(teacher / self.teacher_temperature))
        found = ops.log_softmax(student / self.temperature)
        return {"cross_entropy": -ops.mean(ops.sum(ops.flip(wanted, axis=1) * found, axis=-1))}


def _head(features: int, prototypes: int, projection: int) -> keras.Model:
    """From features to the logits of the classes: cosines with a direction for each."""
    inputs = keras.Input((features,))
    x = layers.Dense(2 * features, activation="gelu", name="distillation_dense1")(inputs)
    x = layers.Dense(projection, dtype="float32", name="distillation_dense2")(x)
    x = layers.UnitNormalization(dtype="float32", name="distillation_norm")(x)
    x = Directions(prototypes, name="distillation_prototypes")(x)
    return keras.Model(inputs, x, name="distillation_head")
