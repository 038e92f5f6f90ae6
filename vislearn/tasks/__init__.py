"""What differs from task to task and nothing else: targets, loss, metrics, decoding, drawing."""

from vislearn.tasks.adversarial import Adversarial
from vislearn.tasks.base import Comparison, Input, Section, Signature, Task
from vislearn.tasks.classification import Classification
from vislearn.tasks.detection import Detection
from vislearn.tasks.diffusion import Diffusion
from vislearn.tasks.pretraining import Pretraining
from vislearn.tasks.regression import Regression
from vislearn.tasks.semantic_segmentation import SemanticSegmentation
from vislearn.tasks.variational import Variational

# By name, and where the families of a task learn and answer differently, by name and family.
TASKS: dict[str | tuple[str, str], type[Task]] = {
    Classification.name: Classification,
    Detection.name: Detection,
    Pretraining.name: Pretraining,
    Regression.name: Regression,
    SemanticSegmentation.name: SemanticSegmentation,
    (Adversarial.name, "gan"): Adversarial,
    (Diffusion.name, "diffusion"): Diffusion,
    (Variational.name, "vae"): Variational,
}

__all__ = [
    "TASKS",
    "Adversarial",
    "Classification",
    "Comparison",
    "Detection",
    "Input",
    "Pretraining",
    "Regression",
    "Section",
    "SemanticSegmentation",
    "Signature",
    "Task",
    "Variational",
    "get_task",
]


def get_task(name: str, classes, family: str | None = None, **options) -> Task:
    """The task of this name for these classes.

    Args:
        name: Such as `"classification"`.
        classes: Names of the classes.
        family: Family of the network, such as `"retinanet"`; None where nothing is asked that
            differs between families.
        **options: Further attributes of the task, such as `score_threshold` of a detector.

    Raises:
        ValueError: If there is no such task, or it has no such option.
    """
    task = TASKS.get((name, family)) or TASKS.get(name)
    if task is None:
        names = sorted({key if isinstance(key, str) else key[0] for key in TASKS})
        raise ValueError(f"task={name!r} must be one of {names}.")
    allowed = task(tuple(classes), family).options()
    if unknown := sorted({*options} - {*allowed}):
        raise ValueError(f"{unknown} are no options of task {name!r}; it has {sorted(allowed)}.")
    return task(tuple(classes), family, **options)
