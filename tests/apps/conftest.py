"""Packages that are served, made once for all tests of the server."""

import pytest


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Two untrained classifiers of 8 x 8 grey pictures, `first` and `second`, and a generator."""
    import keras
    from serving import CLASSES

    import vislearn
    from vislearn.tasks import Classification, get_task

    folder = tmp_path_factory.mktemp("packages")
    keras.utils.set_random_seed(0)
    for name in ("first", "second"):
        network = vislearn.create_model(
            "resnet20_cifar", input_shape=(8, 8, 1), num_classes=5, depth=8
        )
        task = Classification(CLASSES)
        vislearn.export_model(network, folder / name, task=task, formats=("litert",))
    generator = vislearn.create_model("dcgan", **vislearn.model_info("dcgan").tiny)
    task = get_task("generation", (), "gan")
    vislearn.export_model(generator, folder / "maker", task=task, formats=("litert",))
    return folder
