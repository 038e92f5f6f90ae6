"""Training: recipes, schedules, runs that resume exactly, and their reports."""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Config": "run",
        "Recipe": "recipes",
        "Run": "run",
        "TrainingDiverged": "callbacks",
        "default_recipe": "recipes",
        "train": "run",
    },
)
