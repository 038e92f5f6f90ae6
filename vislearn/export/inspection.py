"""What a package holds, and whether it is still what was exported."""

import dataclasses
from pathlib import Path
from typing import Any

from vislearn.export.card import figure, shape_text, shortened
from vislearn.export.operators import operator_counts
from vislearn.export.package import (
    FORMATS,
    MANIFEST,
    available_formats,
    describe_files,
    read_manifest,
)
from vislearn.tables import narrow


@dataclasses.dataclass(frozen=True)
class FileState:
    """One file of a package.

    Attributes:
        size: Bytes; None if it is missing.
        state: `"ok"`, `"damaged"` (not the sha256 of the manifest), `"missing"`, or `"not listed"`.
    """

    size: int | None
    state: str


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What `inspect_package` found.

    Attributes:
        manifest: The content of `model.json`.
        files: Size and state by relative path.
        operators: For each LiteRT format, how often each operation occurs by name and type.
    """

    manifest: dict[str, Any]
    files: dict[str, FileState]
    operators: dict[str, dict[tuple[str, str], int]]

    @property
    def problems(self) -> list[str]:
        """What is wrong with the files; empty if every one is as it was exported."""
        return [
            f"{name} is {file.state}" for name, file in self.files.items() if file.state != "ok"
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "manifest": self.manifest,
            "files": {name: dataclasses.asdict(file) for name, file in self.files.items()},
            "operators": {
                format: [{"name": n, "type": t, "count": count} for (n, t), count in rows.items()]
                for format, rows in self.operators.items()
            },
        }


def inspect_package(directory: str | Path) -> Inspection:
    """Reads a package and compares every file with the sha256 in its manifest.

    Nothing of it is run; neither Keras nor TensorFlow is loaded. Operators are read only from files
    that are undamaged.

    Args:
        directory: The folder that `export_model` wrote.

    Raises:
        FileNotFoundError: If there is no such folder.
        PackageError: If it is no exported package.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    listed, found = manifest["files"], describe_files(directory)
    del found[MANIFEST]

    def state(name: str) -> str:
        if name not in found:
            return "missing"
        if name not in listed:
            return "not listed"
        return "ok" if found[name]["sha256"] == listed[name]["sha256"] else "damaged"

    files = {
        name: FileState(found.get(name, {}).get("size"), state(name))
        for name in sorted({*listed, *found})
    }
    operators = {
        format: operator_counts(directory / FORMATS[format])
        for format in available_formats(manifest)
        if format.startswith("litert") and files[FORMATS[format]].state == "ok"
    }
    return Inspection(manifest, files, operators)


def print_inspection(found: Inspection) -> None:
    """Prints it for people."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, width=max(120, Console().width))
    manifest = found.manifest
    task = manifest["task"].replace("_", " ")
    console.print(f"[bold]{escape(manifest['name'])}[/bold]: {task}, {manifest['signature']}")
    if manifest["classes"]:
        console.print(escape(shortened(manifest["classes"])), style="dim")
    for line in _options(manifest):
        console.print(line, style="dim")
    for table in (_signature(manifest), _figures(manifest), _files(found), _operators(found)):
        console.print(table)
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    console.print(f"Exported {manifest['created']} with {versions}.", style="dim")
    for note in manifest["notes"]:
        console.print(f"[bold]Note:[/bold] {escape(note)}")


def _options(manifest: dict[str, Any]) -> list[str]:
    """What an export may have been asked for; older packages say nothing of it."""
    found = []
    if "savedmodel" in available_formats(manifest):
        names = manifest.get("savedmodel_signatures", ["serving_default"])
        found.append(f"SavedModel signatures: {', '.join(names)}")
    if manifest.get("batch"):
        found.append(f"batch fixed to {manifest['batch']}")
    if manifest.get("keep_float"):
        found.append(f"in float in the int8 file: {', '.join(manifest['keep_float'])}")
    return found


def _table(title: str, *heads: str, numbers: tuple[str, ...] = ()):
    from rich.table import Table

    table = Table(*heads, title=title, title_justify="left", box=None)
    for head in numbers:
        table.add_column(head.replace("_", " "), justify="right")
    return table


def _signature(manifest: dict[str, Any]):
    table = _table("Signature", "", "name", "type", "shape", "range", "unit", "meaning")
    for kind in ("inputs", "outputs"):
        for item in manifest[kind]:
            cells = (kind[:-1], item["name"], item["dtype"], shape_text(item["shape"]))
            bounds, unit = item.get("range"), item.get("unit")  # Older packages have neither.
            within = "" if bounds is None else f"{bounds[0]:g}..{bounds[1]:g}"
            table.add_row(*cells, within, unit or "", item["meaning"])
    return table


def _figures(manifest: dict[str, Any]):
    """What the export measured on each format."""
    rows = manifest["formats"]
    metrics = narrow(rows[0]["metrics"] or {})
    numbers = (*metrics, "max difference", "agreement", "one call")
    table = _table(f"Measured on {manifest['measured_on']}", "format", numbers=numbers)
    for row in rows:
        table.add_row(
            row["format"],
            *(figure(name, row["metrics"][name]) for name in metrics),
            f"{max(row['max_difference'].values()):.1e}",
            "" if row["agreement"] is None else f"{row['agreement']:.2%}",
            f"{row['latency_ms']:.2f} ms",
        )
    return table


def _files(found: Inspection):
    table = _table("Files", "file", "sha256", numbers=("bytes",))
    for name, file in found.files.items():
        style = "green" if file.state == "ok" else "bold red"
        size = "" if file.size is None else f"{file.size:,}"
        table.add_row(name, f"[{style}]{file.state}[/{style}]", size)
    return table


def _operators(found: Inspection):
    """Operators by file, such as `1 float32, 2 int8`."""
    table = _table("Operators", "operator", *found.operators)
    for name in sorted({name for counts in found.operators.values() for name, _ in counts}):
        table.add_row(
            name,
            *(
                ", ".join(f"{n} {kind}" for (of, kind), n in sorted(counts.items()) if of == name)
                for counts in found.operators.values()
            ),
        )
    return table
