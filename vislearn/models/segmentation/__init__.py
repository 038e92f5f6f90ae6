"""Semantic segmenters: a class for each pixel."""
