"""A data set that can't be read as a whole, and trainings that are killed."""

import numpy as np
import pytest
from PIL import Image

from vislearn.selection import runs

SIZE = 8


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """Pictures of two classes whose test split raises when it is read (`strict`)."""
    folder, draw = tmp_path_factory.mktemp("guarded"), np.random.default_rng(0)
    for name, low in (("bright", 90), ("dark", 30)):
        for split, count in (("train", 30), ("test", 3)):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                path = folder / split / name / f"{index:02}.png"
                pixels = draw.integers(low, low + 130, (SIZE, SIZE), dtype=np.uint8)
                Image.fromarray(pixels).save(path)
                if split == "test":
                    path.write_bytes(path.read_bytes()[:40])
    return folder


@pytest.fixture
def killed(monkeypatch):
    """Makes the n-th epoch of all runs together end like one whose process is killed."""

    def arm(epoch: int) -> None:
        ended = 0
        unbroken = runs.Epochs.on_epoch_end

        def on_epoch_end(self, number, logs=None):
            nonlocal ended
            ended += 1
            if ended == epoch:
                monkeypatch.setattr(runs.Epochs, "on_epoch_end", unbroken)
                raise KeyboardInterrupt
            unbroken(self, number, logs)

        monkeypatch.setattr(runs.Epochs, "on_epoch_end", on_epoch_end)

    return arm
