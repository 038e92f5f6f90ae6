"""Training: recipes, schedules, runs that resume exactly, and their reports."""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Accumulated": "accumulation",
        "AdaptiveClippingAdadelta": "adaptive_clipping",
        "AdaptiveClippingAdagrad": "adaptive_clipping",
        "AdaptiveClippingAdam": "adaptive_clipping",
        "AdaptiveClippingAdamW": "adaptive_clipping",
        "AdaptiveClippingRMSprop": "adaptive_clipping",
        "AdaptiveClippingSGD": "adaptive_clipping",
        "Config": "run",
        "Cyclic": "schedules",
        "OneCycle": "schedules",
        "RateRange": "range_test",
        "Recipe": "recipes",
        "Run": "run",
        "SharpnessAwareModel": "sharpness",
        "TrainingDiverged": "callbacks",
        "Uncertainty": "uncertainty",
        "ValidateAverages": "callbacks",
        "WarmUp": "schedules",
        "activation_statistics": "statistics",
        "default_recipe": "recipes",
        "gradient_statistics": "statistics",
        "lr_range": "range_test",
        "monte_carlo": "uncertainty",
        "penalize": "penalties",
        "pretrain": "pretraining",
        "prototype_classifier": "prototypes",
        "schedule_dropout": "dropout_schedule",
        "train": "fitting",
        "unusual_units": "adaptive_clipping",
    },
)
