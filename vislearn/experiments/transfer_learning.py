"""What a network that knows other classes is worth, with few images and with more.

CIFAR-10's six animals teach a network; its four vehicles are what it is then to tell apart, with
5, 50 or 500 images of each, of which a tenth chooses the best epoch. Three ways, all recipes of
`vislearn train`: a new linear layer on the features (a probe), all weights with a smaller rate and
smaller ones below (fine-tuning), and a network from scratch.
"""

from pathlib import Path

from vislearn.experiments.harness import Context, experiment
from vislearn.experiments.subsets import write_classes
from vislearn.pictures import Panel, chart
from vislearn.training import Run

ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
LEARNS = 0.4  # Test accuracy above which a training has learned; chance is 1/6 and 1/4.


@experiment(
    claim="A linear probe is best with little data, fine-tuning with more.",
    source="CS163 notes, transfer learning; Stanford CS231n, transfer learning; ECE 5307 "
    "and CS909 notes",
    expected="5 images a class: the probe ahead of fine-tuning and of scratch; 500: fine-tuning "
    "ahead of the probe and of scratch",
    minutes=15,
    quick="Digits 0 to 5, then 6 to 9 with 10 images of each: the probe against scratch.",
)
def transfer_learning(context: Context) -> None:
    data = context.dataset("cifar10")
    taught = data.info.classes[:6] if context.quick else ANIMALS
    others = [name for name in data.info.classes if name not in taught]
    model, setting = "cifar_cnn", {"options": {"batch_norm": True, "dropout": 0.2}}
    if context.quick:
        model, setting = "mlp", {"augment": "none"}

    def train(name: str, folder: Path, at_least: float | None = None, **arguments) -> Run:
        source = {"data": str(folder), "quick": str(folder)}
        run = context.train(name, model, **source, **setting, **arguments)
        accuracy = run.metrics()["test"]["accuracy"]
        context.figure(f"{name}: test accuracy", accuracy, at_least=at_least)
        return run

    # Without bounds, trainings of which none learns anything would tie.
    teacher = train(
        "taught", write_classes(context.folder / "taught", data, taught), LEARNS, epochs=8
    )
    ways = {
        "probe": {"weights": str(teacher.folder), "tune": "head"},
        "scratch": {"epochs": 8 if context.quick else 40, "patience": 40},
    }
    if not context.quick:
        ways["tuning"] = {**ways["scratch"], "weights": str(teacher.folder), "tune": "all"}
    sizes = (10,) if context.quick else (5, 50, 500)
    accuracies = {way: [] for way in ways}
    for size in sizes:
        folder = write_classes(context.folder / f"others_{size}", data, others, size)
        for way, arguments in ways.items():
            bound = LEARNS if (way, size) == ("probe", sizes[-1]) else None
            run = train(f"{way}_{size}", folder, bound, **arguments)
            accuracies[way].append(run.metrics()["test"]["accuracy"])

    def compare(ahead: str, behind: str, place: int) -> None:
        gain = 100 * (accuracies[ahead][place] - accuracies[behind][place])
        name = f"{sizes[place]} a class: {ahead} less {behind}, percent"
        context.figure(name, gain, at_least=0)

    compare("probe", "scratch", 0)
    if not context.quick:
        compare("probe", "tuning", 0)
        compare("tuning", "probe", -1)
        compare("tuning", "scratch", -1)
    lines = {way: (sizes, values) for way, values in accuracies.items()}
    panel = Panel("after other classes", "images a class", "test accuracy", lines, log="x")
    context.picture("sizes", chart(panel, height=3.2), "Test accuracy by the images of a class.")
