"""The command line: a module a command, in the order of `vislearn --help`.

Nothing heavy is imported before a command needs it.
"""

from vislearn.cli import data, train, export, evaluate, predict, models, experiment  # noqa: F401, I001
from vislearn.cli.base import app, main

__all__ = ["app", "main"]
