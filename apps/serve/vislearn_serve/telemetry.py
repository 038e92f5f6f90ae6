"""Logs, a JSON object a line, and metrics for Prometheus."""

import datetime
import json
import logging
import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

# What a log record has of its own; the rest are facts that somebody added.
_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """A log record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs() -> None:
    """Sends all logs to stderr."""
    # A copy of stderr: while a runtime loads, stderr itself is muted.
    handler = logging.StreamHandler(os.fdopen(os.dup(2), "w", buffering=1))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], force=True)
    for name in ("vislearn.serve", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    # Of a damaged form the request's own line tells.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Metrics:
    """What is counted; a registry of its own, so that several apps don't share one."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "vislearn_requests",
            "Requests answered, by route and status.",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "vislearn_request_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "vislearn_requests_in_flight", "Requests being worked on.", registry=self.registry
        )
        self.held = Gauge(
            "vislearn_held_bytes", "Bytes that all requests hold.", registry=self.registry
        )
        self.loads = Counter(
            "vislearn_model_loads",
            "Packages that were loaded, or could not be.",
            ("model", "version", "outcome"),
            registry=self.registry,
        )
        self._examples = Histogram(
            "vislearn_batch_examples",
            "Examples in a batch.",
            ("model", "version"),
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
        self._inference = Histogram(
            "vislearn_inference_seconds",
            "Seconds that a batch took in the model.",
            ("model", "version"),
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self._waiting = Gauge(
            "vislearn_queue_examples",
            "Examples that wait for a model.",
            ("model", "version"),
            registry=self.registry,
        )

    def batches(self, key: tuple[str, str]) -> Callable[[int, float], None]:
        """What a batcher calls with the examples of each batch and its seconds."""
        examples, inference = self._examples.labels(*key), self._inference.labels(*key)

        def observe(count: int, seconds: float) -> None:
            examples.observe(count)
            inference.observe(seconds)

        return observe

    def watch_queue(self, key: tuple[str, str], waiting: Callable[[], int]) -> None:
        """Reads the length of a queue whenever the metrics are read."""
        self._waiting.labels(*key).set_function(waiting)
