"""What a `.tflite` file says of itself when it is copied out of its package.

As the metadata format of TensorFlow Lite has it, the table of contents is a buffer of the model,
and the files that it names stand behind the model as a ZIP archive, where its reader ignores it:
`unzip -p model.tflite labels.txt` prints the classes.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from vislearn.export.metadata import with_metadata
from vislearn.export.package import LABELS, MANIFEST, labels_text

# What of the manifest holds of the model alone, and not of what was measured or lies beside it.
_KEYS = (
    *("format_version", "name", "task", "family", "task_options", "signature", "shows"),
    *("classes", "inputs", "outputs", "batch"),
)


def attach(path: Path, manifest: dict[str, Any]) -> None:
    """Writes the metadata into the model, and the labels and what `model.json` says behind it."""
    about = {key: manifest[key] for key in _KEYS}
    path.write_bytes(with_metadata(path.read_bytes(), about))
    with zipfile.ZipFile(path, "a") as archive:
        # With a date of their own, the same export would not give the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS), labels_text(manifest["classes"]))
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(about, ensure_ascii=False))
