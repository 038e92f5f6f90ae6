"""The command line itself, and what its commands share."""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from vislearn import __version__

app = typer.Typer(
    name="vislearn",
    help="Deep learning on images in Keras: from a folder of images to a checked export.\n\n"
    "A first session:\n\n"
    "  vislearn train resnet20_cifar --data digits --out runs/digits --epochs 10\n\n"
    "  vislearn export runs/digits --out mine\n\n"
    "  vislearn predict mine photo.png --out picture.png\n\n"
    "From published weights, where there are few images:\n\n"
    "  vislearn train resnet50 --data photos --out runs/photos --weights imagenet --tune head",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="A folder with a folder a class (or with train/ and test/ or val/ of such), with "
        "targets.csv for regression, of COCO, Pascal VOC or masks; 'digits' or 'shapes', which "
        "are built in; or a TFDS name such as 'mnist'.",
    ),
]


INTERRUPTED = 130  # The exit status that Typer makes of Ctrl-C.


def main() -> None:
    """Runs the command line; what a user can mend is told in a line, without a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    debug = bool(os.environ.get("VISLEARN_DEBUG"))
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print(_stopped(), file=sys.stderr)
        raise
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        if debug:
            raise
        from rich.console import Console

        console = Console(stderr=True)
        console.print(
            f"[bold red]Error:[/bold red] {_plain(error)}", highlight=False, soft_wrap=True
        )
        console.print("(VISLEARN_DEBUG=1 shows where it happened.)", style="dim")
        sys.exit(1)


def _stopped() -> str:
    """What is said after Ctrl-C, by whether the command that was called can go on."""
    commands = typer.main.get_command(app).commands
    called = [commands[word] for word in sys.argv[1:2] if word in commands]
    if any(option.name == "resume" for command in called for option in command.params):
        return "Stopped. The same command with --resume goes on with what was begun."
    return "Stopped."


def _plain(error: Exception) -> str:
    from rich.markup import escape

    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return escape(f"{error.strerror}{where}")
    text = str(error)
    if text.startswith("in user code:"):  # TensorFlow's, with a traceback before the error.
        text = re.split(r"\n\s*(?=\w+Error: )", text)[-1].strip()
    return escape(text or type(error).__name__)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vislearn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    del version  # Its callback has done the work.


def load_keras(prepare: Callable[[], None] | None = None) -> None:
    """Imports Keras and its backend without what they write to the terminal while they load.

    Args:
        prepare: Called before the devices are found.
    """
    from vislearn.export.quiet import quiet

    with quiet():
        from vislearn import backend

    if prepare is not None:
        prepare()  # What it says on the way to its end is to be seen.
    with quiet():
        backend.describe()  # Finds the devices, which TensorFlow also writes about.


def parse_values(pairs: list[str], flag: str = "--option") -> dict[str, Any]:
    """`["depth=8", "dropout=0.5", "name=a"]` to a dictionary; values are JSON where they parse."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{flag} {pair!r} must have the form name=value.")
        try:
            found[name] = json.loads(text.lower() if text in ("True", "False") else text)
        except json.JSONDecodeError:
            found[name] = text
    return found


def recipe_fields(pairs: list[str] | None, **flags) -> dict[str, Any]:
    """The fields of the recipe that a command was given.

    Args:
        pairs: What `--recipe` was given.
        **flags: Fields with a flag of their own; None where it was not given.

    Raises:
        ValueError: If there is no such field, or it is given in both ways.
    """
    from vislearn.training import Recipe

    given = parse_values(pairs or [], "--recipe")
    fields = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(given.keys() - fields):
        raise ValueError(f"--recipe: {unknown} are no fields of the recipe: {sorted(fields)}.")
    flags = {name: value for name, value in flags.items() if value is not None}
    for name, value in flags.items():
        if name in given:
            raise ValueError(
                f"--recipe {name}={given[name]} and --{name.replace('_', '-')} {value}: "
                "give one of them."
            )
    return given | flags


def split_names(text: str) -> tuple[str, ...]:
    """`"onnx, litert"` to `("onnx", "litert")`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_counts(text: str, flag: str) -> tuple[int, ...]:
    """`"1,8"` to `(1, 8)`.

    Raises:
        ValueError: If a part is no whole number.
    """
    names = split_names(text)
    if not names or not all(name.isdecimal() for name in names):
        raise ValueError(f"{flag} {text!r} must be whole numbers with commas between them.")
    return tuple(map(int, names))


def parse_image_size(text: str | None) -> int | tuple[int, int] | None:
    """`"96"` to 96, `"240x320"` to (240, 320)."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ValueError(f"--image-size {text!r} must be a number, or HEIGHTxWIDTH.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))
