"""What differs from task to task and nothing else: targets, loss, metrics, decoding, drawing."""

from vislearn.tasks.classification import Classification

TASKS = {Classification.name: Classification}

__all__ = ["TASKS", "Classification", "get_task"]


def get_task(name: str, classes):
    """The task of this name for these classes.

    Raises:
        ValueError: If there is no such task.
    """
    if name not in TASKS:
        raise ValueError(f"task={name!r} must be one of {sorted(TASKS)}.")
    return TASKS[name](tuple(classes))
