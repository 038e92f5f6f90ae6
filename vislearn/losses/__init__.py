"""Losses that Keras lacks, a file an idea."""

from vislearn.losses.cross_entropy import SparseCategoricalCrossentropy

__all__ = ["SparseCategoricalCrossentropy"]
