"""Image classifiers and regressors."""
