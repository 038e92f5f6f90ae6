"""What every request passes: the key, the limits, the deadline, the log."""

import asyncio
import contextlib
import hmac
import logging
import re
import secrets
import time
import zlib
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vislearn_serve.errors import Refused
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


class Gate:
    """ASGI middleware around everything.

    Takes `X-Request-Timeout`, seconds, where a client wants its answer sooner than the deadline,
    and `X-Request-ID`, which comes back with the answer and stands in the log.

    Args:
        app: What answers the requests that are let in.
        settings: The limits.
        metrics: Where they are counted.
    """

    def __init__(self, app, settings: Settings, metrics: Metrics):
        self._app, self._settings, self._metrics = app, settings, metrics
        self._requests = 0  # that are being worked on

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), None
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        identity = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        facts = request.state.facts = {"request": identity}
        request.state.body_read = not {"content-length", "transfer-encoding"} & {*request.headers}

        async def send_and_note(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", identity.encode()),
                ]
                if not request.state.body_read:
                    # The rest of the body is not waited for.
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            with self._counted(request):
                async with asyncio.timeout(self._seconds(request)):
                    await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            status = _GONE
        except (Refused, TimeoutError, MemoryError) as error:
            refused = _as_refused(error, request)
            if status is None:
                await _discard_body(request)
                await refusal(refused, request)(scope, receive, send_and_note)
            facts["reason"] = refused.reason
        except Exception as error:
            log.exception("failed", extra={"request": identity, "path": scope["path"][:200]})
            if status is None:
                text = f"Internal error; the log tells more under {identity}."
                await reply({"error": text}, 500)(scope, receive, send_and_note)
            facts["reason"] = repr(error)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "")  # none where nothing was found
            self._metrics.requests.labels(route, status or _GONE).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"][:200],
                    "status": status or _GONE,
                    "ms": round(1000 * seconds, 2),
                    **facts,
                },
            )

    @contextlib.contextmanager
    def _counted(self, request: Request):
        """Lets a request in, if it brings the key and not too many are in already."""
        path = request.scope["path"]
        if self._settings.api_key is not None and path not in OPEN_PATHS:
            self._check_key(request)
        if path in _UNCOUNTED:
            yield
            return
        if self._requests >= self._settings.max_requests:
            raise Refused(503, f"{self._requests} requests are being worked on.", retry_after=1)
        self._requests += 1
        self._metrics.in_flight.set(self._requests)
        try:
            yield
        finally:
            self._requests -= 1
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


def _as_refused(error: Exception, request: Request) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError):
        return Refused(503, "There is not enough memory for this request now.", retry_after=1)
    if request.state.body_read:
        return Refused(504, "The answer was not ready in time.", retry_after=1)
    return Refused(408, "The body did not come in time.")


async def _discard_body(request: Request) -> None:
    """Takes what is under way of a body that nobody reads.

    A client that sends before it listens would find the connection reset in place of the answer.
    """
    if request.state.body_read or "expect" in request.headers:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            more = True
            while more:
                more = (await request.receive()).get("more_body", False)


def refusal(refused: Refused, request: Request) -> Response:
    """The answer to a request that is refused."""
    request.state.facts["reason"] = refused.reason
    headers = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return reply({"error": refused.reason}, refused.status, headers)


class Bodies:
    """Reads bodies, and knows how many bytes are held at the moment.

    Args:
        settings: The limits.
        metrics: Where the bytes are shown.
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self._settings, self._metrics = settings, metrics
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request):
        """The body, unpacked if it came packed; it counts as held until the end of the block.

        Raises:
            Refused: If it is too large, if too much is held already, or if it can't be unpacked.
        """
        limit = self._settings.max_body
        # Digits: the parser of HTTP has seen to that.
        if int(request.headers.get("content-length", 0)) > limit:
            raise _too_large(limit)
        chunks, size = [], 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._hold(len(chunk))
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
            request.state.body_read = True
            request.state.facts["bytes"] = size
            body = b"".join(chunks)
            chunks.clear()
            encoding = request.headers.get("content-encoding", "identity").lower()
            if encoding != "identity":
                body = await asyncio.to_thread(_unpack, body, encoding, limit)
            yield body
        finally:
            self._hold(-size)

    def _hold(self, count: int) -> None:
        self._held += count
        self._metrics.held.set(self._held)
        if count > 0 and self._held > self._settings.max_held:
            raise Refused(503, "The bodies of other requests fill the memory.", retry_after=1)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"The body is larger than {limit:,} bytes.")


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The content of a gzip or deflate body, never more than the limit in memory."""
    bits = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
    if bits is None:
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} must be gzip or deflate.")
    unpacker = zlib.decompressobj(bits)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, f"The body is no {encoding}: {error}.") from error
    if len(content) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise Refused(400, f"The body is {encoding} that ends too early.")
    return content
