"""What all tests share: the tests of one backend are skipped on the other."""

import functools
import os
import re
import sys
import tarfile
from pathlib import Path

import pytest

# Where other tests find what another library's network is (`case`).
sys.path.append(str(Path(__file__).with_name("references")))

# What shares things that take long to make, beyond one file: one worker runs all of it.
TOGETHER = ("tests/apps/test_serve", "tests/export/")
# The ladder's files that compare with a process of their own, for all networks at once.
WHOLE = ("test_backends.py", "test_save.py", "test_xla.py")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Networks that run once are not worth optimising: XLA compiles them two to three times as fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# What one process has compiled with JAX, the others load: the workers, and the fresh processes.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / "build" / "compiled")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def pytest_collection_modifyitems(items):
    import keras

    if keras.backend.backend() == "tensorflow":
        return
    skip = pytest.mark.skip(
        reason=f"needs the TensorFlow backend, and Keras runs on {keras.backend.backend()}"
    )
    for item in items:
        if "tensorflow" in item.keywords:
            item.add_marker(skip)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Sends to one worker what shares something: a file, some of `TOGETHER`, or a tiny network.

    The ladder builds, exports and trains a network once for all tests that ask for it, in a
    process; on two workers it would do so twice.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            case = re.search(r"\[(?:.*-)?(\w+)\]$", test)
            if "ladder/" in file and not file.endswith(WHOLE) and case:
                return network(case[1])
            return next((group for group in TOGETHER if file.startswith(group)), file)

    return Together(config, log)


@functools.cache
def network(name: str) -> str:
    """The tiny network that stands for a model in the ladder."""
    sys.path.append(str(Path(__file__).with_name("ladder")))
    from rungs import MODELS, representative

    return representative(name) if name in MODELS else name


@pytest.fixture(scope="session")
def real_data(tmp_path_factory):
    """A function that unpacks an archive of real data by its name, or skips where it is not."""
    place = os.environ.get("VISLEARN_TEST_DATA")
    folder = Path(place) if place else Path(__file__).parents[2] / "shared" / "data"

    def unpack(name: str) -> Path:
        archive = folder / f"{name}.tar.xz"
        if not archive.is_file():
            pytest.skip(f"no {archive}: set VISLEARN_TEST_DATA to the folder that holds it")
        target = tmp_path_factory.mktemp(name)
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
        return target

    return unpack


@pytest.fixture(scope="session")
def cifar10(real_data) -> Path:
    """CIFAR-10 as a folder of JPEG files."""
    return real_data("cifar10")
