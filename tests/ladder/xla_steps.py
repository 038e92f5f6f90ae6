"""A training step of tiny networks under XLA: `python xla_steps.py FOLDER NAME ...`.

Run with XLA_FLAGS=--xla_dump_to=FOLDER, so that XLA writes there what it compiles; after each step
the files of the network are moved to FOLDER/NAME.
"""

import sys
from pathlib import Path

import keras
from rungs import example, task, tiny

from vislearn.training.recipes import Recipe

folder, *names = sys.argv[1:]
for name in names:
    model = tiny(name)
    model.compile("sgd", task(name).loss(Recipe()), jit_compile=True)
    x, y = task(name).target(example(name))
    loss = model.train_on_batch(x, y)
    target = Path(folder) / name
    target.mkdir()
    (target / "loss.txt").write_text(str(float(loss)))
    for path in Path(folder).glob("module_*"):
        path.rename(target / path.name)
    keras.backend.clear_session()
