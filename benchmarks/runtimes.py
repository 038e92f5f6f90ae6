"""One picture through the exported LiteRT file and through ONNX Runtime, side by side.

    python benchmarks/runtimes.py
    python benchmarks/runtimes.py --models resnet50 --threads 1 --rounds 20

Each network is exported at its published size with random weights, on which speed does not
depend, as LiteRT, as LiteRT in int8 and as ONNX, pixels to classes. The files of a network take
turns in one process, a round of calls each; ratios are taken within each round.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from speed import installed, positive, spread

MODELS = ("mobilenet_v2", "resnet50", "efficientnet_b0", "vit_small_patch16")
FORMATS = ("litert", "onnx", "litert_int8")
CALIBRATION = 16  # random pictures: ranges of random weights mean nothing


def export(name: str, folder: Path) -> dict[str, int]:
    """Exports a network with random weights, and gives the size of each file in bytes."""
    import keras
    import numpy as np

    import vislearn

    keras.utils.set_random_seed(0)
    model = vislearn.create_model(name)
    info = vislearn.model_info(name)
    task = vislearn.tasks.Classification([f"class {n}" for n in range(info.num_classes)])
    pixels = np.random.default_rng(0).integers(0, 256, (CALIBRATION, *info.input_shape), "uint8")
    report = vislearn.export_model(
        model,
        folder,
        task=task,
        formats=("litert", "onnx"),
        quantize="int8",
        calibration=pixels,
    )
    keras.utils.clear_session()
    return {row.format: row.size for row in report.rows}


def measure(folder: Path, options) -> dict[str, list[float]]:
    """Milliseconds a call of each file, a median a round."""
    from vislearn.export.package import FORMATS as FILES
    from vislearn.export.package import read_manifest
    from vislearn.export.runtimes import RUNTIMES, filled, random_example

    batch = filled(random_example(read_manifest(folder)["inputs"]), 1)
    calls = {
        format: RUNTIMES[format](folder / FILES[format], options.threads) for format in FORMATS
    }
    return in_turns(calls, batch, options.rounds, options.calls)


def in_turns(calls: dict[str, Callable], batch: dict, rounds: int, count: int) -> dict[str, list]:
    """Milliseconds a call of each, by name: the median of `count` of them, round after round."""
    found = {name: [] for name in calls}
    for round in range(rounds + 1):
        for name, call in calls.items():
            taken = []
            for _ in range(count):
                start = time.perf_counter()
                call(batch)
                taken.append(1000 * (time.perf_counter() - start))
            if round:  # The first warms up.
                found[name].append(statistics.median(taken))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", nargs="+", default=[*MODELS], metavar="NAME", help="default: %(default)s")
    add("--threads", type=positive, default=2, help="of each runtime; default: %(default)s")
    add("--rounds", type=positive, default=9, help="default: %(default)s")
    add("--calls", type=positive, default=10, help="a round; default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="also write all figures, round by round")
    options = parser.parse_args()
    if not installed("onnxruntime"):
        parser.error("ONNX Runtime is not installed: pip install vislearn[export]")

    from rich.console import Console
    from rich.table import Table

    console, rows = Console(width=max(110, Console().width)), []
    for name in options.models:
        console.print(f"{name} ...")
        with tempfile.TemporaryDirectory() as folder:
            sizes = export(name, Path(folder) / name)
            times = measure(Path(folder) / name, options)
        rows.append({"model": name, "threads": options.threads, "bytes": sizes, "ms": times})
    table = Table(title=f"One picture, {options.threads} threads, ms: median (range)")
    table.add_column("model", no_wrap=True)
    for head in ("LiteRT", "ONNX Runtime", "LiteRT / ONNX", "LiteRT int8", "int8 / float size"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        litert, onnx, int8 = (row["ms"][format] for format in FORMATS)
        ratios = [ours / other for ours, other in zip(litert, onnx, strict=True)]
        table.add_row(
            row["model"],
            spread(litert, "{:.1f}"),
            spread(onnx, "{:.1f}"),
            spread(ratios, "{:.2f}"),
            spread(int8, "{:.1f}"),
            f"{row['bytes']['litert_int8'] / row['bytes']['litert']:.2f}",
        )
    console.print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
