"""Training: recipes, schedules, runs that resume exactly, and their reports."""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Config": "run",
        "RateRange": "range_test",
        "Recipe": "recipes",
        "Run": "run",
        "TrainingDiverged": "callbacks",
        "Uncertainty": "uncertainty",
        "activation_statistics": "statistics",
        "default_recipe": "recipes",
        "gradient_statistics": "statistics",
        "lr_range": "range_test",
        "monte_carlo": "uncertainty",
        "penalize": "penalties",
        "pretrain": "pretraining",
        "schedule_dropout": "dropout_schedule",
        "train": "fitting",
    },
)
