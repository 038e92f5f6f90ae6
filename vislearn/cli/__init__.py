"""The command line: a module a command, in the order of `vislearn --help`.

Nothing heavy is imported before a command needs it.
"""

# ruff: noqa: F401, I001
from vislearn.cli import data
from vislearn.cli import train
from vislearn.cli import pretrain
from vislearn.cli import lr_range
from vislearn.cli import cross_validate
from vislearn.cli import search
from vislearn.cli import ensemble
from vislearn.cli import conformal
from vislearn.cli import export
from vislearn.cli import inspect
from vislearn.cli import evaluate
from vislearn.cli import benchmark
from vislearn.cli import predict
from vislearn.cli import predict_batch
from vislearn.cli import serve
from vislearn.cli import models
from vislearn.cli import experiment
from vislearn.cli.base import app, main

__all__ = ["app", "main"]
