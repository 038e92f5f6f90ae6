"""Tables of models for the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from vislearn.catalogue import Stage


def narrow(metrics: Iterable[str]) -> list[str]:
    """The metrics that a table has room for: means over the classes stand in JSON and reports."""
    return [name for name in metrics if not name.startswith("macro_")]


def _console() -> Console:
    return Console(width=max(130, Console().width))  # Also where it is piped to a file.


def print_models(rows: list[dict[str, Any]]) -> None:
    """Prints a line a model."""
    table = Table(box=None)
    for head in ("name", "task", "family", "year", "input"):
        table.add_column(head, no_wrap=True)
    for head in ("parameters", "M multiply-adds"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for row in rows:
        table.add_row(
            *(str(row[key]) for key in ("name", "task", "family", "year")),
            "x".join(map(str, row["input_shape"])),
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e6:,.2f}",
            (row["weights"] or "").partition(" ")[0],  # Whose they are.
        )
    _console().print(table)
    print(f"{len(rows)} models; `vislearn models NAME` describes one.")


def print_model(row: dict[str, Any], stages: list[Stage]) -> None:
    """Prints one model with its stages."""
    console = _console()
    console.print(f"[bold]{row['name']}[/bold]: {row['title']}", highlight=False)
    console.print(f"{row['authors']}, {row['year']}, {row['url']}", highlight=False, style="dim")
    facts = Table(box=None, show_header=False)
    for name, value in (
        ("task", f"{row['task']} (family {row['family']})"),
        ("input", "x".join(map(str, row["input_shape"]))),
        ("classes", row["num_classes"]),
        ("parameters", f"{row['parameters']:,}"),
        ("multiply-adds", f"{row['multiply_adds']:,}"),
        ("counts from", row["reference"] or "nobody published any"),
        ("weights", row["weights"] or "none to download"),
        ("variant", ", ".join(f"{key}={value!r}" for key, value in row["variant"].items())),
        ("options", ", ".join(row["options"])),
    ):
        facts.add_row(name, str(value))
    console.print(facts, highlight=False)
    table = Table("stage", box=None)
    for head in ("layers", "output", "parameters", "multiply-adds"):
        table.add_column(head, justify="right", no_wrap=True)
    for stage in stages:
        table.add_row(
            stage.name,
            str(stage.layers),
            "x".join(map(str, stage.output_shape)),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
        )
    console.print(table)
