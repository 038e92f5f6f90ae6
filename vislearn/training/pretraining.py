"""Learning without labels, as a run: `vislearn pretrain`."""

from pathlib import Path

from vislearn.training.fitting import train
from vislearn.training.run import Run


def pretrain(
    model: str, *, data: str | Path, out: str | Path, method: str = "simclr", **arguments
) -> Run:
    """Trains a classifier without its head on pictures alone, and leaves a run folder.

    The labels of the data are not read. What comes of it is a start: `train` takes the folder as
    `weights`; with `tune="head"`, that is the linear evaluation by which such methods are judged.

    Args:
        model: Registry name of a classifier; for `"mae"` a vision transformer, for `"simmim"` a
            network with feature maps.
        data: Source of `load_dataset`; a folder of images without classes does.
        out: Folder of the run; must not exist unless `resume`.
        method: `"simclr"` (arXiv:2002.05709), to find the other view of a picture among those of
            all pictures of the batch; `"dino"` (arXiv:2104.14294), to say of a view what an average
            of the network says of the other; `"mae"` (arXiv:2111.06377), to fill in hidden patches
            by the others; or `"simmim"` (arXiv:2111.09886), by a picture in which they are grey.
        **arguments: Further arguments of `train`, fields of the recipe among them. `objective`
            holds the options of `ContrastiveObjective` (`temperature`, `projection`),
            `DistillationObjective` (`prototypes`, `momentum`, ...), `MaskedObjective` (`masked`,
            `decoder_depth`, ...) or `MaskedPixelsObjective` (`masked`); `augment` is what makes the
            views.

    Returns:
        The finished run, whose model gives features `(batch, features)`.

    Raises:
        As `train`.
    """
    return train(model, data=data, out=out, pretraining=method, **arguments)
