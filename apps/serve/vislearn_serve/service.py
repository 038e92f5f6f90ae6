"""What the routes share: the models, the bodies, and where the work is done."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import orjson
from starlette.requests import Request

from vislearn_serve.errors import Refused
from vislearn_serve.gate import Bodies
from vislearn_serve.packages import Model, Shelf
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

_QUICK = 8 * 1024  # bytes that the event loop may handle itself


class Service:
    """Everything that a running app holds.

    Attributes:
        settings, metrics, shelf, bodies: See their classes.
    """

    def __init__(self, settings: Settings):
        self.settings, self.metrics = settings, Metrics()
        self.shelf = Shelf(settings, self.metrics)
        self.bodies = Bodies(settings, self.metrics)
        # Decoding takes memory as well as time, so two at a time.
        self._threads = ThreadPoolExecutor(2, "vislearn-work")

    async def work(self, function: Callable, *args):
        """The result of a function that takes time, from a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(function, *args))

    async def handle(self, size: int, function: Callable, *args):
        """The result of a function that handles so many bytes: from a thread, unless they are few.

        Few are so few that not even a picture which is packed a thousandfold takes long.
        """
        return function(*args) if size <= _QUICK else await self.work(function, *args)

    @asynccontextmanager
    async def model(
        self, request: Request, name: str, version: str | None = None
    ) -> AsyncIterator[Model]:
        """The model that a request names, which stays until the end of the block."""
        model = self.shelf.get(name, version)
        request.state.facts |= {"model": model.name, "version": model.version}
        with model.in_use():
            yield model

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self.shelf.close()


def service_of(request: Request) -> Service:
    return request.app.state.service


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
