"""What an export wrote and measured."""

import dataclasses
from pathlib import Path
from typing import Any

from vislearn.export.card import figure


@dataclasses.dataclass(frozen=True)
class FormatReport:
    """What was measured on one exported format.

    Attributes:
        format: `"savedmodel"`, `"litert"`, `"litert_float16"`, `"litert_dynamic"`, `"litert_int8"`
            or `"onnx"`.
        file: File or folder, relative to the package.
        size: Bytes.
        max_difference: Largest absolute difference from Keras of each float output, and of pictures
            in units of 0..1 beyond the rounding of a level.
        agreement: Share of the decisions (classes, pixels, objects) that are Keras's, 0..1; None
            where nothing is decided.
        metrics: The task's metrics on the validation images; None without any.
        latency_ms: Median milliseconds of one example.
        seconds: Time to write the file.
    """

    format: str
    file: str
    size: int
    max_difference: dict[str, float]
    agreement: float | None
    metrics: dict[str, float] | None
    latency_ms: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What `export_model` wrote and measured.

    Attributes:
        directory: The package.
        name: Name of the model.
        samples: What the files were compared on, such as `"64 calibration images"`.
        metric: Name of the metric that counts.
        rows: One a format.
        notes: What else a reader should know.
    """

    directory: Path
    name: str
    samples: str
    metric: str | None
    rows: tuple[FormatReport, ...]
    notes: tuple[str, ...] = ()

    def table(self):
        """The rows as a `rich.table.Table`."""
        from rich.table import Table

        table = Table(title=f"{self.name} in {self.directory}", caption=self._caption())
        table.add_column("format", no_wrap=True)
        measured = [self.metric] if any(row.metrics for row in self.rows) else []
        for header in ("size", "max diff", "agreement", *measured, "one call", "export"):
            table.add_column(header.replace("_", " "), justify="right")
        for row in self.rows:
            table.add_row(
                row.format,
                f"{row.size / 1e6:.2f} MB",
                f"{max(row.max_difference.values()):.1e}",
                "" if row.agreement is None else f"{row.agreement:.2%}",
                *(figure(name, row.metrics[name]) for name in measured),
                f"{row.latency_ms:.2f} ms",
                f"{row.seconds:.1f} s",
            )
        return table

    def _caption(self) -> str:
        return "\n".join((f"Compared with Keras on {self.samples}.", *self.notes))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {**dataclasses.asdict(self), "directory": str(self.directory)}
