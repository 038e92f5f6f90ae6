"""Learning without labels, as a run: `vislearn pretrain`."""

from pathlib import Path

from vislearn.training.run import Run, train


def pretrain(
    model: str, *, data: str | Path, out: str | Path, method: str = "simclr", **arguments
) -> Run:
    """Trains a classifier without its head on pictures alone, and leaves a run folder.

    The labels of the data are not read. What comes of it is a start: `train` takes the folder as
    `weights`; with `tune="head"`, that is the linear evaluation by which such methods are judged.

    Args:
        model: Registry name of a classifier; for `"mae"` a vision transformer.
        data: Source of `load_dataset`; a folder of images without classes does.
        out: Folder of the run; must not exist unless `resume`.
        method: `"simclr"` (arXiv:2002.05709), to find the other view of a picture among those of
            all pictures of the batch; or `"mae"` (arXiv:2111.06377), to fill in hidden patches.
        **arguments: Further arguments of `train`, fields of the recipe among them. `objective`
            holds the options of `ContrastiveObjective` (`temperature`, `projection`) or of
            `MaskedObjective` (`masked`, `decoder_depth`, ...); `augment` is what makes the views.

    Returns:
        The finished run, whose model gives features `(batch, features)`.

    Raises:
        As `train`.
    """
    return train(model, data=data, out=out, pretraining=method, **arguments)
