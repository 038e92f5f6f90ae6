"""Curves of trainings, which several experiments draw."""

from vislearn.training import Run


def curve(run: Run, column: str) -> tuple[list[float], list[float]]:
    """Epochs, and a column of the run's history, such as `"val_accuracy"`."""
    rows = run.history()
    return [row["epoch"] for row in rows], [row[column] for row in rows]
