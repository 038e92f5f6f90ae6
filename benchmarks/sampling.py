"""Sampling from a diffusion model, side by side: fewer steps, and one graph for all of them.

    python benchmarks/sampling.py
    python benchmarks/sampling.py --full --count 1 --rounds 1

On one network with random weights take turns: DDIM in the compiled loop of `vislearn.samplers`,
DDPM in the same, and DDIM in a Python loop around `network.predict` and `predict_on_batch`, which
is what one would write first. Ratios are taken within each round.
"""

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

# What `docs/results.md` trains on MNIST.
SMALL = {
    "input_shape": (28, 28, 1),
    "filters": 16,
    "multipliers": (1, 2, 4),
    "blocks": 1,
    "attention": (7,),
    "groups": 8,
}


def python_loop(network, sampler, steps: int, noise, predict):
    """The same sampler with a call of the network from Python at each step."""
    import numpy as np
    from keras import ops

    times, x = sampler.timesteps(steps), noise
    for t, s in itertools.pairwise(times):
        time_of_each = np.full(len(x), t, "float32")
        predicted = predict({"image": x, "time": time_of_each})
        x = ops.convert_to_numpy(sampler.step(predicted, t, s, x, 0.0))
    return x


def measure(network, options) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    import numpy as np

    from vislearn.samplers import DDIM, DDPM, SamplingLoop, starting_noise

    noise = starting_noise(network, options.count)
    ddim = SamplingLoop(network, DDIM(), options.steps)
    ddpm = SamplingLoop(network, DDPM(), options.ddpm_steps)

    def in_python(predict):
        return python_loop(network, ddim.sampler, options.steps, noise, predict)

    ways = {
        "ddim": lambda: ddim(noise),
        "ddpm": lambda: ddpm(noise),
        "predict": lambda: in_python(lambda x: network.predict(x, verbose=0)),
        "predict_on_batch": lambda: in_python(network.predict_on_batch),
    }
    pictures = {name: way() for name, way in ways.items()}  # The first call compiles.
    for name in ("predict", "predict_on_batch"):
        np.testing.assert_allclose(pictures[name], pictures["ddim"], atol=1e-3)
    found = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            found[name].append(time.perf_counter() - start)
    return found


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Seconds to sample with DDIM and DDPM in one graph, and in a Python loop."
    )
    add = parser.add_argument
    add("--count", type=positive, default=4, help="pictures at a time; default: %(default)s")
    add("--rounds", type=positive, default=3, help="rounds of each; default: %(default)s")
    add("--steps", type=positive, default=50, help="steps of DDIM; default: %(default)s")
    add("--ddpm-steps", type=positive, default=1000, help="steps of DDPM; default: %(default)s")
    add("--full", action="store_true", help="DDPM's 32-pixel network of 36 million parameters")
    add("--json", type=Path, metavar="FILE", help="also write all figures, round by round")
    options = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    import vislearn
    from vislearn import backend

    network = vislearn.create_model("ddpm", **({} if options.full else SMALL))
    found = measure(network, options)
    title = f"{options.count} pictures, {network.count_params():,} parameters, {backend.describe()}"
    table = Table("", title=title, box=None)
    for head in ("seconds", "times as long", "range"):
        table.add_column(head, justify="right")
    names = {
        "ddim": f"DDIM, {options.steps} steps, one graph",
        "ddpm": f"DDPM, {options.ddpm_steps} steps, one graph",
        "predict": f"DDIM, {options.steps} steps, Python loop of predict",
        "predict_on_batch": f"DDIM, {options.steps} steps, Python loop of predict_on_batch",
    }
    for name, seconds in found.items():
        ratios = [slow / fast for slow, fast in zip(seconds, found["ddim"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        median = statistics.median
        table.add_row(names[name], f"{median(seconds):.2f}", f"{median(ratios):.2f}", spread)
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": backend.describe(), "seconds": found}))


if __name__ == "__main__":
    main()
