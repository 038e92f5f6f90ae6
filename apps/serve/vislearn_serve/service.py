"""What the routes share: the models, the bodies, and where the work is done."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import orjson
from fastapi import APIRouter
from starlette.requests import Request

from vislearn.export.runtimes import IMAGE
from vislearn.tasks.base import Arrays
from vislearn_serve import bodies, images
from vislearn_serve.errors import Refused
from vislearn_serve.memory import Memory, Pixels
from vislearn_serve.packages import Model
from vislearn_serve.settings import Settings
from vislearn_serve.shelf import Shelf
from vislearn_serve.telemetry import Metrics

_QUICK = 8 * 1024  # bytes that the event loop may handle itself
_STABLE = "stable"  # the label of the newest version

# What stands behind a model's name in a path.
NEWEST, VERSION, LABEL = "", "/versions/{version}", "/labels/{label}"

# Threads of their own for what takes long and for what comes after it: those that have their inputs
# or their answer, and hold memory for it, don't queue behind those whose pictures are decoded.
READ, DECODE, ANSWER, DRAW = "read", "decode", "answer", "draw"
_THREADS = {READ: 2, DECODE: 2, ANSWER: 2, DRAW: 1}  # matplotlib draws one figure at a time

# Inputs by name; that of pictures may be picture files instead.
Given = dict[str, np.ndarray | list[bytes]]


class Service:
    """Everything that a running app holds.

    Attributes:
        settings, metrics, shelf, memory: See their classes.
    """

    def __init__(self, settings: Settings):
        self.settings, self.metrics = settings, Metrics()
        self.memory = Memory(settings.max_held, self.metrics.held.set)
        self.shelf = Shelf(settings, self.metrics)
        self._pixels = Pixels(settings.max_pixels)
        self._threads = {
            kind: ThreadPoolExecutor(count, f"vislearn-{kind}") for kind, count in _THREADS.items()
        }

    async def work(self, kind: str, function: Callable, *args):
        """The result of a function that takes time, from a thread of that kind."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[kind], functools.partial(function, *args))

    async def handle(self, kind: str, size: int, function: Callable, *args):
        """The result of a function whose time goes with so many bytes: few are handled at once.

        Not for picture files, which may be packed a thousandfold.
        """
        return function(*args) if size <= _QUICK else await self.work(kind, function, *args)

    async def body(self, request: Request) -> bytes:
        """The body, unpacked if it came packed; from here on the request counts as work.

        Raises:
            Refused: If it is too large, if there is no memory for it, if it can't be unpacked, or
                if too much is being worked on.
        """
        visit, limit = request.state.visit, self.settings.max_body
        body = await bodies.receive(request, limit, visit.share)
        visit.facts["bytes"] = len(body)
        if not visit.body_read:
            visit.begin()
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return body
        return await self.work(READ, bodies.unpack, body, encoding, limit, visit.share)

    @asynccontextmanager
    async def model(self, request: Request) -> AsyncIterator[Model]:
        """The model that the path of a request names, which stays until the end of the block."""
        named = request.path_params
        if "label" in named and named["label"] != _STABLE:
            label = named["label"][:80]
            raise Refused(404, f"There is no label {label!r}; {_STABLE!r} is the newest version.")
        model = self.shelf.get(named["name"], named.get("version"))
        request.state.visit.facts |= {"model": model.name, "version": model.version}
        with model.in_use():
            yield model

    async def infer(self, request: Request, model: Model, given: Given) -> Arrays:
        """The model's answers to what a request gave it.

        Raises:
            Refused: If it is not what the model takes, or too much.
        """
        files = given.get(IMAGE)
        if type(files) is list:
            found = await self.pictures(request, model, files, keep=False)
            return await self.answers(model, {IMAGE: found.inputs})
        self.reserve(request, model, len(next(iter(given.values()))))
        return await self.answers(model, given)

    def reserve(self, request: Request, model: Model, count: int) -> None:
        """Takes the memory of so many inputs and answers, before they are made.

        Raises:
            Refused: If a request may not hold as many, or there is no memory for them.
        """
        most = model.batcher.capacity
        if count > most:
            raise Refused(413, f"{count} examples are more than a request may hold: {most}.")
        request.state.visit.share.take(count * model.example_bytes)

    async def pictures(
        self, request: Request, model: Model, files: list[bytes], keep: bool
    ) -> images.Pictures:
        """Picture files as the model takes them; see `images.read`."""
        self.reserve(request, model, len(files))
        most, share = self.settings.max_pixels, request.state.visit.share
        return await self.work(DECODE, images.read, files, model, most, self._pixels, share, keep)

    async def answers(self, model: Model, inputs: Arrays) -> Arrays:
        """What the model answers, checked before and after."""
        size = sum(value.nbytes for value in inputs.values())
        inputs = await self.handle(ANSWER, size, model.checked, inputs)
        answers = await model.run(inputs)
        size = sum(value.nbytes for value in answers.values())
        return await self.handle(ANSWER, size, model.checked_answers, answers)

    def close(self) -> None:
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)
        self.shelf.close()


def service_of(request: Request) -> Service:
    return request.app.state.service


def of_model(
    router: APIRouter,
    method: str,
    place: str,
    ending: str,
    versions: Iterable[str] = (NEWEST, VERSION),
    **options,
):
    """Registers one function for the newest version and for one that is named.

    Args:
        router: Where.
        method: Such as `"GET"`.
        place: The path before the version.
        ending: What comes after it.
        versions: How versions may be named.
        options: Of `APIRouter.add_api_route`.
    """

    def register(function: Callable) -> Callable:
        for version in versions:
            path = f"{place}{version}{ending}"
            router.add_api_route(path, function, methods=[method], **options)
        return function

    return register


def read_object(body: bytes) -> dict:
    """The JSON object in a body.

    Raises:
        Refused: If there is none.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is no JSON: {error}.") from error
    if type(found) is not dict:
        raise Refused(400, "The body must be a JSON object.")
    return found
