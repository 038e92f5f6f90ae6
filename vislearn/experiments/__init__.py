"""Experiments of the course: each measures one claim and says whether it held.

An experiment is a file in this folder, found by itself. This is a whole one, `halving.py`:

    \"\"\"Halving ten times leaves less than a thousandth.

    What was done, how it differs from the source and why.
    \"\"\"

    from vislearn.experiments.harness import Context, experiment
    from vislearn.pictures import Panel, chart


    @experiment(
        claim="Ten halvings leave less than a thousandth.",
        source="Euclid, Elements, book X, proposition 1",
        expected="1 / 1024",
        minutes=0.01,
        quick="The same.",
    )
    def halving(context: Context) -> None:
        sizes = [0.5**step for step in range(11)]
        context.figure("what is left", sizes[-1], expected=2**-10, tolerance=1e-12)
        lines = {"size": (range(11), sizes)}
        picture = chart(Panel("halving", "step", "size", lines, log="y"))
        context.picture("sizes", picture, "The size after each halving.")

The function's name is the experiment's. `vislearn experiment halving` runs it, and leaves
`result.json`, the pictures and `report.html`; the verdict is computed from the figures.

What its `context` gives (see `harness.Context`):

    context.quick       True for the small version: at most two or three trainings, each of which
                        takes four seconds of a core to trace, whatever its size
    context.random      a seeded `numpy.random.Generator`; Keras is seeded too
    context.dataset("mnist", quick="digits", batch_size=64)   a `vislearn.data.Dataset`
    context.step("plain", function, argument)   the JSON value of `function(argument)`, stored: a
                        killed experiment goes on behind the last step. Training belongs in steps.
    context.train("plain", "cifar_cnn", data="cifar10", epochs=8)   a finished `training.Run`: what
                        `vislearn train` does, gone on with after its last whole epoch
    context.source("cifar10")   what these two read, for what else takes a source
    context.folder      where the experiment may keep files
    context.track(items, "training")   the items, with a progress bar
    context.figure(name, value, ...)   a measured number, and what was to be expected:
                        `expected=` with `tolerance=`, `at_least=`, `at_most=`, or none of them for
                        a number that is only reported. `full_only=True`: in a quick run reported
                        and not checked. `printed=`: what the source prints, where that is wrong.
    context.picture(name, figure, caption)   `pictures.chart` and `pictures.image_row` draw most;
                        the first picture stands in `docs/experiments.md`
    context.note(text)  what the reader of the report should know

When the full run is done, `python docs/experiments.py --store runs/experiments/NAME` puts its
result into `docs/experiments/` and writes `docs/experiments.md`.
"""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Context": "harness",
        "Result": "results",
        "experiment": "harness",
        "get_experiment": "harness",
        "list_experiments": "harness",
        "run_experiment": "harness",
    },
)
