"""Model selection: cross-validation, search, ensembles and prediction sets with a coverage.

Three kinds of images, three uses: weights are fitted on the training images, everything else is
chosen by the validation images, and the test images are looked at once, when nothing is left to be
chosen. Cross-validation and search load their data without its test split, so they can't see it.
"""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CrossValidation": "cross_validation",
        "PredictionSets": "prediction_sets",
        "Search": "searches",
        "Trial": "trials",
        "average": "ensembles",
        "calibrate": "prediction_sets",
        "conformal": "prediction_sets",
        "cross_validate": "cross_validation",
        "ensemble": "ensembles",
        "parse_space": "space",
        "search": "searches",
    },
)
