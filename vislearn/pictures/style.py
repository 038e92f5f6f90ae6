"""The style that all pictures share, and how they are written."""

import base64
import contextlib
import io
from pathlib import Path

import numpy as np

# Blue and vermillion of Okabe and Ito (2008): told apart with every kind of colour blindness.
RIGHT = "#0072B2"
WRONG = "#D55E00"
NEUTRAL = "#5F6672"
INK = "#1F2328"
FAINT = "#D5D9DF"
TINTS = {RIGHT: "#BBDCF0", WRONG: "#F6CDB4", NEUTRAL: "#D5D9DF"}
MARKS = {RIGHT: "✓ ", WRONG: "✗ ", NEUTRAL: ""}

# Of classes, all dark enough to write white on.
CLASS_COLOURS = (RIGHT, WRONG, "#007A5A", "#A3487B", "#8A6100", "#2E6F95", "#5F6672")

_FORMATS = (".png", ".svg", ".pdf")
_DPI = 150
_LARGEST_SVG = 300_000  # characters; beyond it a PNG is the smaller of the two

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8.0,
    "text.color": INK,
    "text.parse_math": False,  # a class may well be called "$5 bill"
    "axes.edgecolor": FAINT,
    "axes.labelcolor": NEUTRAL,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.formatter.use_mathtext": False,
    "axes.grid": False,
    "grid.color": "#ECEEF1",
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": NEUTRAL,
    "ytick.labelcolor": NEUTRAL,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": _DPI,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.1,
    "svg.fonttype": "path",  # looks the same whatever fonts the reader has
    "svg.hashsalt": "vislearn",  # the same figure gives the same file
}


@contextlib.contextmanager
def style():
    """Our style and nothing of the user's, for what is drawn or saved inside."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures need matplotlib: pip install 'vislearn[predict]'."
        ) from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float):
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def shorten(text: str, length: int) -> str:
    """Cuts a name to `length` characters, the last of them an ellipsis."""
    text = " ".join(str(text).split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def percent(share: float) -> str:
    """A probability as a percentage, which is 0 or 100 only where it is exactly that.

    0.934 gives `"93%"`, 0.9997 gives `">99%"` and 0.0002 gives `"<1%"`.
    """
    if 0 < share <= 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def show_image(axes, image):
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3)
    ):
        raise ValueError(
            f"An image has the shape {image.shape} and type {image.dtype}; images must be uint8, "
            "(height, width, channels) with one or three channels, or (height, width)."
        )
    # Small images keep their pixels; larger ones are shrunk with smoothing, or they would flicker.
    smooth = "nearest" if max(image.shape[:2]) <= 128 else "antialiased"
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation=smooth, aspect="equal")


def check_suffix(path: str | Path) -> None:
    """Finds a path that `save` would refuse, before the work.

    Raises:
        ValueError: If the suffix is none of .png, .svg and .pdf.
    """
    if Path(path).suffix.lower() not in _FORMATS:
        raise ValueError(f"path={str(path)!r} must end with one of {_FORMATS}.")


def save(figure, path: str | Path) -> None:
    """Writes a figure, and makes its folder; the suffix, .png, .svg or .pdf, chooses the format.

    Raises:
        ValueError: If the suffix is none of these.
        OSError: If the file can't be written.
    """
    path = Path(path)
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_render(figure, path.suffix.lower()[1:]))


def to_png(figure) -> bytes:
    """The figure as the content of a PNG file."""
    return _render(figure, "png")


def to_data_uri(figure, *, transparent: bool = False) -> str:
    """The figure as a `data:` URI for an HTML page: SVG, or PNG where the SVG would be large.

    Args:
        figure: What a function of this module returned.
        transparent: Leave out the white background.
    """
    svg = _render(figure, "svg", transparent=transparent)
    if len(svg) <= _LARGEST_SVG:
        return data_uri(svg, "image/svg+xml")
    return data_uri(_render(figure, "png", transparent=transparent), "image/png")


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a `data:` URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _render(figure, format: str, transparent: bool = False) -> bytes:
    # Without the date the same figure gives the same bytes.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}[format]
    file = io.BytesIO()
    with style():
        figure.savefig(file, format=format, metadata=metadata, transparent=transparent)
    return file.getvalue()
