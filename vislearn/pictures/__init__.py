"""Pictures of predictions, training curves and confusion matrices, in one restrained style.

Needs matplotlib, and neither Keras nor TensorFlow: a program that only runs an exported package
draws with it too. Every function returns a `matplotlib.figure.Figure` of its own; nothing touches
pyplot, so nothing has to be closed and several threads don't share a current figure.
"""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "augmentation_grid": "augmentation",
        "prediction_grid": "classification",
        "confusion_matrix": "classification",
        "detection_grid": "detection",
        "precision_bars": "detection",
        "segmentation_grid": "segmentation",
        "value_grid": "regression",
        "value_scatter": "regression",
        "curves": "training",
        "function_grid": "activations",
        "image_grid": "training",
        "Panel": "charts",
        "chart": "charts",
        "image_row": "charts",
        "rate_range": "rates",
        "schedules": "rates",
        "fold_metrics": "selection",
        "slices": "selection",
        "importance_bars": "selection",
        "member_bars": "selection",
        "coverage_bars": "selection",
        "check_suffix": "style",
        "save": "style",
        "to_png": "style",
        "to_data_uri": "style",
        "data_uri": "style",
        "shorten": "style",
        "percent": "style",
        "RIGHT": "style",
        "WRONG": "style",
        "NEUTRAL": "style",
    },
)
