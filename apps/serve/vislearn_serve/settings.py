"""What can be set."""

import dataclasses
import math
from pathlib import Path

from vislearn.export.package import FORMATS

_LARGEST_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a folder of packages is served.

    Attributes:
        folder: `NAME/model.json` and `NAME/VERSION/model.json` below it, or itself a package.
        format: `"litert"`, `"litert_int8"`, `"onnx"` or `"savedmodel"`.
        threads: Threads of one batch; None for all cores but one, at most four.
        workers: Batches of a model that run at a time.
        batch_sizes: Numbers of examples that are run at a time, at most 4096; others are padded.
        queue: Examples that wait for a model, at most; also the most that one request may hold.
        deadline: Seconds from the first byte of a request to its answer.
        max_body: Largest body in bytes, as sent and as unpacked.
        max_pixels: Most pixels of all pictures of a request together, and most pixels of all
            requests that are decoded at a time.
        max_requests: Requests that are worked on at a time; health and metrics are not counted,
            nor those whose body is still being sent.
        max_held: Bytes that all requests hold at a time: bodies as sent and as unpacked, what goes
            into the models and what comes out, pictures that answers are drawn on, and drawings.
        poll: Seconds between two looks into the folder.
        api_key: What a request must bring; None for no key.

    Raises:
        ValueError: If a value is out of range.
    """

    folder: Path
    format: str = "litert"
    threads: int | None = None
    workers: int = 1
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    queue: int = 256
    deadline: float = 30.0
    max_body: int = 16 * 2**20
    max_pixels: int = 25_000_000
    max_requests: int = 256
    max_held: int = 256 * 2**20
    poll: float = 2.0
    api_key: str | None = None

    def __post_init__(self):
        if self.format not in FORMATS:
            raise ValueError(f"format={self.format!r} must be one of {[*FORMATS]}.")
        object.__setattr__(self, "batch_sizes", tuple(sorted({*self.batch_sizes})))
        if not self.batch_sizes or self.batch_sizes[0] < 1:
            raise ValueError(f"batch_sizes={self.batch_sizes!r} must be numbers of at least 1.")
        if self.batch_sizes[-1] > _LARGEST_BATCH:
            raise ValueError(
                f"batch_sizes={self.batch_sizes!r} must be numbers of at most {_LARGEST_BATCH}."
            )
        for name in ("workers", "queue", "max_body", "max_pixels", "max_requests", "max_held"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1.")
        for name in ("deadline", "poll"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name}={value!r} must be more than 0 seconds, and finite.")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads!r} must be None or at least 1.")
        if self.api_key == "":
            raise ValueError("api_key='' must be a key, or None for none.")
