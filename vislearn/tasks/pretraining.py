"""Learning without labels: the features that a task is learned on afterwards."""

import dataclasses
from typing import Any, ClassVar

from vislearn.tasks.base import Task, with_options

METHODS = ("simclr", "dino", "mae", "simmim")


@dataclasses.dataclass(frozen=True)
class Pretraining(Task):
    """What a network without a head learns from pictures alone.

    It answers nothing: `vislearn train --weights RUN` gives it a head.

    Attributes:
        method: `"simclr"`, to find the other view of a picture among those of all pictures;
            `"dino"`, to say of a view what an average of the network says of the other; `"mae"` or
            `"simmim"`, to fill in hidden patches, by the others alone or by a picture in which they
            are grey.

    Raises:
        ValueError: If there is no such method.
    """

    method: str = "simclr"

    name: ClassVar[str] = "pretraining"
    # The loss of what is only an exercise hardly tells how good the features are: the last epoch
    # counts.
    metric: ClassVar[str | None] = None
    takes_images: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} must be one of {METHODS}.")

    @property
    def views(self) -> int:
        return 2 if self.method in ("simclr", "dino") else 1

    def num_classes(self, published: int) -> int:
        """0: what is kept gives features."""
        del published
        return 0

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], None

    def objective(self, network, recipe):
        """That of the method; `recipe.objective` holds its options, such as `temperature`.

        Raises:
            ValueError: If the method has no such option, or does not fit the network.
        """
        from vislearn.training.contrastive import ContrastiveObjective
        from vislearn.training.distillation import DistillationObjective
        from vislearn.training.masked import MaskedObjective
        from vislearn.training.masked_pixels import MaskedPixelsObjective

        kinds = {
            "simclr": ContrastiveObjective,
            "dino": DistillationObjective,
            "mae": MaskedObjective,
            "simmim": MaskedPixelsObjective,
        }
        return with_options(kinds[self.method], recipe.objective, network=network)

    def signatures(self, network):
        """There is none: features are no answers.

        Raises:
            ValueError: Always.
        """
        raise self.no_answers()

    def no_answers(self) -> ValueError:
        """What to do before it is asked for any."""
        return ValueError(
            "A network that was only pretrained answers nothing: give it a head first, by "
            "vislearn train MODEL --weights RUN --tune head."
        )
