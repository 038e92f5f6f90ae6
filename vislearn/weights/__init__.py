"""Published weights: files of other libraries, found, checked, and loaded into our networks."""

from vislearn.weights.conversion import WeightsReport
from vislearn.weights.layout import LIBRARIES, Layout, Published, layouts, published
from vislearn.weights.loading import build_with_weights

__all__ = [
    "LIBRARIES",
    "Layout",
    "Published",
    "WeightsReport",
    "build_with_weights",
    "layouts",
    "published",
]
