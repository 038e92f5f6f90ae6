"""Short trainings, each one step of an experiment; longer ones are runs of `context.train`."""

import keras


def fit(
    model: keras.Model, train, test, *, peak: float, epochs: int, batch_size: int
) -> dict[str, list[float]]:
    """Trains a classifier with Adam, without augmentation or decay.

    Args:
        model: From images to logits.
        train, test: `images` and `labels`, as `Dataset.arrays` returns them.
        peak: First learning rate, from which a cosine falls to zero.
        epochs: How long.
        batch_size: Images a step.

    Returns:
        The accuracies after each epoch: `accuracy`, of the training images while they were
        learned, and `test_accuracy`.
    """
    steps = -(-len(train["labels"]) // batch_size) * epochs
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(peak, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        train["images"],
        train["labels"],
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(test["images"], test["labels"]),
        validation_batch_size=500,
        verbose=0,
    ).history
    return {"accuracy": history["accuracy"], "test_accuracy": history["val_accuracy"]}
