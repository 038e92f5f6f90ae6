"""What the engines say of an operation that they can't do."""

from vislearn.data.augmentation.operations import Operation

# Besides "native", which can do all.
LACKING = {
    "albumentations": ("mixup", "cutmix", "mosaic", "augmix"),
    "keras": (
        *("stretch", "lens", "fancy_pca", "noise", "grid_mask"),
        *("mosaic", "rand_augment", "augmix"),
    ),
}


def unsupported(engine: str, operation: Operation, why: str = "") -> ValueError:
    """The error for an operation that an engine has no means for.

    Args:
        engine: Its name.
        operation: What was asked for.
        why: What of the operation it can't do; empty where it has nothing of the kind.
    """
    name = operation.key()
    others = [
        other for other, lacking in LACKING.items() if other != engine and name not in lacking
    ]
    return ValueError(
        f"engine={engine!r} can't do {name!r}{why and ' ' + why}; "
        f"{' and '.join(map(repr, ['native', *others]))} can."
    )
