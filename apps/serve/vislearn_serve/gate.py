"""What every request passes: the key, the limits, the deadline, the log."""

import asyncio
import contextlib
import hmac
import logging
import re
import secrets
import time
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vislearn_serve.errors import Refused
from vislearn_serve.memory import Memory, Share
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

# Whoever balances load or looks whether the process lives has no key; the page asks for it.
OPEN_PATHS = ("/", "/v2/health/live", "/v2/health/ready")
# Answered even when everything is busy: somebody has to be able to see that it is.
_UNCOUNTED = (*OPEN_PATHS, "/metrics")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,64}")
_DISCARD_SECONDS = 1.0
_GONE = 499  # what logs call a client that did not wait for its answer

log = logging.getLogger("vislearn.serve")


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; arrays become lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, "application/json")


class Visit:
    """A request from its head to the end of its answer: `request.state.visit`.

    Attributes:
        facts: What the log tells of it.
        share: The memory that it holds.
        body_read: Whether all of its body is here.
        status: Of the answer, once it has begun.
        gone: Whether the client hung up before it had its answer.
        counted: Whether it is one of those that are worked on.
        path: What it asks for.
    """

    def __init__(self, request: Request, gate: "Gate", share: Share):
        given = request.headers.get("x-request-id", "")
        identity = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.facts: dict[str, Any] = {"request": identity}
        self.share, self.status = share, None
        self.body_read = request.headers.get("content-length", "0") == "0" and (
            "transfer-encoding" not in request.headers
        )
        self.gone = self.counted = self._answered = False
        self.path: str = request.scope["path"]
        self._request, self._gate = request, gate
        self._limit: asyncio.Timeout | None = None
        self._watcher: asyncio.Task | None = None

    @contextlib.asynccontextmanager
    async def within(self, seconds: float):
        """Ends the block after so many seconds, or when the client hangs up: TimeoutError."""
        try:
            async with asyncio.timeout(seconds) as self._limit:
                yield
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
                self._watcher = None  # It holds the visit.

    def begin(self) -> None:
        """To be called when the body is here: the work begins, if not too much is under way."""
        self.body_read = True
        self._gate.let_in(self)
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Nobody computes for a client that hung up."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        if not self._answered:
            self.gone = True
            with contextlib.suppress(RuntimeError):  # The time was up at the same moment.
                self._limit.reschedule(asyncio.get_running_loop().time())

    def noting(self, send):
        """What sends the answer, and notes what becomes of it."""

        async def send_and_note(message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                identity = (b"x-request-id", self.facts["request"].encode())
                message["headers"] = [*message.get("headers", ()), identity]
                if not self.body_read:
                    # The rest of the body is not waited for.
                    message["headers"].append((b"connection", b"close"))
            else:
                self._answered = not message.get("more_body", False)
            await send(message)

        return send_and_note


class Gate:
    """ASGI middleware around everything.

    Takes `X-Request-Timeout`, seconds, where a client wants its answer sooner than the deadline,
    and `X-Request-ID`, which comes back with the answer and stands in the log.

    Args:
        app: What answers the requests that are let in.
        settings: The limits.
        metrics: Where they are counted.
        memory: What the requests hold.
    """

    def __init__(self, app, settings: Settings, metrics: Metrics, memory: Memory):
        self._app, self._settings, self._metrics = app, settings, metrics
        self._memory = memory
        self._requests = 0  # that are being worked on

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, request = time.perf_counter(), Request(scope, receive)
        with self._memory.share() as share:
            visit = request.state.visit = Visit(request, self, share)
            try:
                await self._answer(request, visit, visit.noting(send))
            finally:
                if visit.counted:
                    self._count(-1)
                self._note(scope, visit, time.perf_counter() - began)
                # Each holds the other: what they keep would wait for the garbage collector.
                del request.state.visit

    async def _answer(self, request: Request, visit: Visit, send) -> None:
        scope, receive = request.scope, request.receive
        try:
            if self._settings.api_key is not None and scope["path"] not in OPEN_PATHS:
                self._check_key(request)
            async with visit.within(self._seconds(request)):
                if visit.body_read:
                    visit.begin()
                await self._app(scope, receive, send)
        except ClientDisconnect:
            visit.gone = True
        except (Refused, TimeoutError, MemoryError) as error:
            if not visit.gone:
                await _refuse(_as_refused(error, visit), request, send)
        except Exception as error:
            identity = visit.facts["request"]
            log.exception("failed", extra={"request": identity, "path": scope["path"][:200]})
            if visit.status is None:
                text = f"Internal error; the log tells more under {identity}."
                await reply({"error": text}, 500)(scope, receive, send)
            visit.facts["reason"] = repr(error)

    def _note(self, scope, visit: Visit, seconds: float) -> None:
        """Counts and logs a request that is over."""
        status = _GONE if visit.gone or visit.status is None else visit.status
        route = getattr(scope.get("route"), "path", "")  # none where nothing was found
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "ms": round(1000 * seconds, 2),
                **visit.facts,
            },
        )

    def let_in(self, visit: Visit) -> None:
        """Counts a request whose body is here: one that is still being sent is no work.

        Raises:
            Refused: If too many are being worked on.
        """
        if visit.path in _UNCOUNTED:
            return
        if self._requests >= self._settings.max_requests:
            raise Refused(503, f"{self._requests} requests are being worked on.", retry_after=1)
        visit.counted = True
        self._count(1)

    def _count(self, change: int) -> None:
        self._requests += change
        self._metrics.in_flight.set(self._requests)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("x-api-key")
        if given is None:
            scheme, _, value = request.headers.get("authorization", "").partition(" ")
            given = value if scheme.lower() == "bearer" else ""
        if not hmac.compare_digest(given.encode(), self._settings.api_key.encode()):
            raise Refused(401, "The key is missing or wrong: send Authorization: Bearer KEY.")

    def _seconds(self, request: Request) -> float:
        text = request.headers.get("x-request-timeout")
        if text is None:
            return self._settings.deadline
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not seconds > 0:
            raise Refused(400, f"X-Request-Timeout {text[:40]!r} must be seconds, more than 0.")
        return min(seconds, self._settings.deadline)


async def _refuse(refused: Refused, request: Request, send) -> None:
    """Tells a client why it gets nothing, if nothing of an answer was sent yet."""
    visit = request.state.visit
    if visit.status is None:
        await _discard_body(request)
        await refusal(refused)(request.scope, request.receive, send)
    visit.facts["reason"] = refused.reason


def _as_refused(error: Exception, visit: Visit) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError):
        return Refused(503, "There is not enough memory for this request now.", retry_after=1)
    if visit.body_read:
        return Refused(504, "The answer was not ready in time.", retry_after=1)
    return Refused(408, "The body did not come in time.")


async def _discard_body(request: Request) -> None:
    """Takes what is under way of a body that nobody reads.

    A client that sends before it listens would find the connection reset in place of the answer.
    """
    if request.state.visit.body_read or "expect" in request.headers:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            more = True
            while more:
                more = (await request.receive()).get("more_body", False)


def refusal(refused: Refused) -> Response:
    """The answer to a request that is refused."""
    headers = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return reply({"error": refused.reason}, refused.status, headers)
