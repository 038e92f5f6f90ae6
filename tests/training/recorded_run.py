"""A training run in a process of its own, which writes the loss after each step to a file.

python recorded_run.py LOSSES MODEL [--option ...]     as `vislearn train MODEL ...`
"""

import json
import sys
from pathlib import Path

from vislearn.cli import main

record, *arguments = sys.argv[1:]
# Keras starts no backend when it is imported; hosts and devices can still be set up.
from vislearn.training import callbacks  # noqa: E402

losses, watch = [], callbacks.StopOnNonFiniteLoss.on_train_batch_end


def on_train_batch_end(self, batch, logs=None):
    losses.append(float(logs["loss"]))
    Path(record).write_text(json.dumps(losses))
    watch(self, batch, logs)


callbacks.StopOnNonFiniteLoss.on_train_batch_end = on_train_batch_end
sys.argv[1:] = ["train", *arguments]
main()
