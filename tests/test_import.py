"""What `import vislearn` and the command line load: nothing heavy before it is needed."""

import subprocess
import sys

import pytest

HEAVY = (
    "keras",
    "tensorflow",
    "jax",
    "matplotlib",
    "sklearn",
    "tensorflow_datasets",
    "onnxruntime",
)


def loaded(program: str) -> list[str]:
    """The heavy packages in `sys.modules` after a program has run in a fresh process."""
    report = f"\nimport sys\nprint('LOADED', *[n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program + report], capture_output=True, text=True, check=True
    )
    line = next(line for line in result.stdout.splitlines() if line.startswith("LOADED"))
    return line.split()[1:]


@pytest.mark.parametrize(
    "program",
    [
        "import vislearn",
        "import vislearn, vislearn.cli",
        "import vislearn.data.images",
        "import vislearn; vislearn.load_predictor",
        "import vislearn.pictures",
    ],
)
def test_light(program):
    assert loaded(program) == []


def test_help_is_light():
    program = (
        "import sys, vislearn.cli\n"
        "sys.argv = ['vislearn', 'train', '--help']\n"
        "try: vislearn.cli.main()\n"
        "except SystemExit as end: assert end.code == 0\n"
    )
    assert loaded(program) == []


@pytest.mark.parametrize("first", ["import vislearn, keras", "import keras, vislearn"])
def test_layers_are_known_to_keras_whichever_is_imported_first(first):
    program = (
        f"{first}\n"
        "found = keras.saving.get_registered_object('vislearn>BatchNormalization')\n"
        "assert found is not None"
    )
    assert "keras" in loaded(program)


def test_unknown_attribute_is_an_attribute_error():
    import vislearn

    with pytest.raises(AttributeError, match="no attribute 'creat_model'"):
        vislearn.creat_model  # noqa: B018


def test_all_names_resolve():
    import vislearn

    assert {name for name in vislearn.__all__ if getattr(vislearn, name) is not None} == {
        *vislearn.__all__
    }
