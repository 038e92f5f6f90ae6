"""Rung: every builder takes the common arguments in one order, and says what it takes."""

import inspect

from rungs import builder, every_model

import vislearn
from vislearn.registry import COMMON_ARGUMENTS


@every_model
def test_arguments(name):
    parameters = inspect.signature(builder(name)).parameters
    assert tuple(parameters)[: len(COMMON_ARGUMENTS)] == COMMON_ARGUMENTS
    for argument, parameter in parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY, f"{argument} is not keyword-only"
        required = argument in ("input_shape", "num_classes")
        assert (parameter.default is parameter.empty) == required, f"{argument}'s default"
    assert parameters["classifier_activation"].default is None, "answers are logits by default"


@every_model
def test_docstring(name):
    text = inspect.getdoc(builder(name))
    for part in ("\nArgs:\n", "\nRaises:\n", *COMMON_ARGUMENTS):
        assert part in text, f"the docstring doesn't say {part.strip()}"
    for option in vislearn.model_info(name).options:
        assert f"    {option}: " in text, f"the docstring doesn't describe {option}"


@every_model
def test_facts(name):
    info = vislearn.model_info(name)
    assert info.url.startswith(("https://", "http://"))
    assert 1950 < info.year < 2100
    assert info.title
    assert info.authors
    # A family is a file; a long one has others whose names begin with it.
    assert builder(name).__module__.rsplit(".", 1)[-1].startswith(info.family)
    assert {"input_shape", "num_classes"} <= {*info.tiny}
    if info.reference_params or info.reference_gmacs:
        assert info.reference, "a count without its source"
    # Printed where memory runs short: never more than the published size.
    # Published features (0 classes) get a head there.
    assert info.tiny["num_classes"] <= (info.num_classes or info.tiny["num_classes"])
