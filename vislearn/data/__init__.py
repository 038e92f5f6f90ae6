"""Data sets: folders, COCO, Pascal VOC, TFDS, digits and shapes; split, augmented, batched."""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AUGMENTATIONS": "augmentation",
        "Dataset": "dataset",
        "DatasetInfo": "dataset",
        "ImageError": "images",
        "image_header": "images",
        "fit_image": "images",
        "fitted_preprocessing": "pixels",
        "load_dataset": "loading",
        "read_image": "images",
    },
)
