"""What a `.tflite` file computes, read from the file itself without running it."""

import collections
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CUSTOM = "CUSTOM:"


def litert_operators(path: str | Path) -> list[str]:
    """Names of the operations in a `.tflite` file, sorted, each once.

    A built-in operation has its plain name, such as `"CONV_2D"`; one that the runtime does not
    have built in, such as a TensorFlow operation, has the prefix `"CUSTOM:"`.
    """
    return sorted({name for name, _ in operator_counts(path)})


def operator_counts(path: str | Path) -> dict[tuple[str, str], int]:
    """How often each operation occurs with results of each type, by `("CONV_2D", "int8")`."""
    from ai_edge_litert import schema_py_generated as schema

    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if name.isupper()}
    return dict(
        collections.Counter(
            (name, types[outputs[0].Type()] if outputs else "none")
            for name, outputs in _operations(Path(path).read_bytes())
        )
    )


def litert_nodes(content: bytes) -> list[str]:
    """The names of what each operation in the content of a `.tflite` file computes."""
    return [tensor.Name().decode() for _, outputs in _operations(content) for tensor in outputs]


def litert_constants(content: bytes, least: float) -> set[str]:
    """The names of what hardly varied while a calibrated `.tflite` file saw its examples.

    Args:
        content: Of a file that holds the lowest and the highest value of each tensor.
        least: Of what varies less.
    """
    found = set()
    for _, outputs in _operations(content):
        for tensor in outputs:
            seen = tensor.Quantization()
            if seen is None or not seen.MinLength() or not seen.MaxLength():
                continue
            if np.max(seen.MaxAsNumpy()) - np.min(seen.MinAsNumpy()) < least:
                found.add(tensor.Name().decode())
    return found


def _operations(content: bytes) -> Iterator[tuple[str, list]]:
    """Name and output tensors of each operation, in the order in which they run."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    model = schema.Model.GetRootAsModel(content, 0)
    operators = []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        # Codes above 127 stand in the newer field; the older one then holds 127.
        name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        operators.append(CUSTOM + code.CustomCode().decode() if name == "CUSTOM" else name)
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for place in range(graph.OperatorsLength()):
            operator = graph.Operators(place)
            outputs = [
                graph.Tensors(operator.Outputs(number))
                for number in range(operator.OutputsLength())
            ]
            yield operators[operator.OpcodeIndex()], outputs
