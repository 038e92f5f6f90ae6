"""Sockets: slow and endless heads of requests, and the end of the process."""

import asyncio
import contextlib
import errno
import logging
import socket

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vislearn_serve.app import create_app
from vislearn_serve.gate import reply
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import set_up_logs

_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 10.0
_LINGER_SECONDS = 1.0
_CONNECTIONS = 1024
_KEEP_ALIVE_SECONDS = 30
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

log = logging.getLogger("vislearn.serve")


async def _crowded(scope, receive, send) -> None:
    """The application of a connection too many."""
    text = f"{_CONNECTIONS} connections are open."
    headers = {"Retry-After": "1", "Connection": "close"}
    await reply({"error": text}, 503, headers)(scope, receive, send)


async def _long_headed(scope, receive, send) -> None:
    """The application of a request whose head is too long, but came at once."""
    await reply({"error": "The head is too large."}, 431, {"Connection": "close"})(
        scope, receive, send
    )


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which waits for no head of a request for ever and keeps no endless one.

    What it refuses by itself, it says after the answers that are due before. Bodies are the gate's
    business.
    """

    _timer: asyncio.TimerHandle | None = None
    _received = 0  # bytes of the head that is being read
    _last_words: bytes | None = None  # after which the connection ends

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._start_head()

    def connection_lost(self, exc) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._last_words is not None:
            return  # What was still under way.
        self._received += len(data)
        super().data_received(data)
        if self._timer is not None and self._received > _HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"The head is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if length > _HEAD_BYTES:
            self.app = _long_headed
        elif len(self.connections) > _CONNECTIONS:
            self.app = _crowded
        else:
            self.app = self.config.loaded_app
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._last_words is not None and not self._pending:
            self._hang_up()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls it for what is no HTTP."""
        self._refuse(b"400 Bad Request", msg.encode())

    @property
    def _pending(self) -> bool:
        """Whether a request is here that has not had its whole answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def _start_head(self) -> None:
        self._received = 0
        self._start_timer()

    def _start_timer(self) -> None:
        self._end_head()
        self._timer = self.loop.call_later(_HEAD_SECONDS, self._time_is_up)

    def _end_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        if self._pending:
            self._start_timer()  # While a request is answered, nothing more may be read.
        else:
            self._refuse(b"408 Request Timeout", b"The head did not come in time.")

    def _refuse(self, status: bytes, reason: bytes) -> None:
        self._end_head()
        body = b'{"error": "%s"}' % reason
        self._last_words = (
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, len(body), body)
        )
        if self._pending and self.cycle.more_body and not self.pipeline:
            # It is the request itself that is broken, in its body; nobody has to wait for the rest.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._pending:
            return
        self._hang_up()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(self._last_words)
        # Closed at once with bytes unread, the connection would be reset and the answer lost.
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


class _Server(uvicorn.Server):
    """uvicorn's server on sockets that were bound before it, so before a model is loaded."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]):
        super().__init__(config)
        self._bound = sockets

    def run(self) -> None:
        super().run(self._bound)

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        for one in sockets:
            host, port = one.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            log.info(f"running on http://{host}:{port}")


def _bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host, all on one port; none of them listens yet.

    Raises:
        ValueError: If the port is none.
        OSError: If the host is no address of this machine, or the port is not to be had.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port={port!r} must be 0 to 65535.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(f"--host {host} is no address: {error}.") from error
    bound, missing = [], None
    with contextlib.ExitStack() as stack:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                one = stack.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    missing = error  # localhost may be ::1, too, on a machine without IPv6.
                    continue
                taken = error.errno == errno.EADDRINUSE
                why = "is in use" if taken else f"can't be used: {error.strerror}"
                raise OSError(f"--port {port} {why}.") from error
            bound.append(one)
            port = one.getsockname()[1]  # Where any is taken, the same for all addresses.
        if not bound:
            raise OSError(f"--host {host} is no address of this machine.") from missing
        stack.pop_all()
    return bound


def make_server(settings: Settings, host: str = "127.0.0.1", port: int = 8080) -> uvicorn.Server:
    """The server, its port taken; told to end, it answers what it has accepted.

    Args:
        settings: What is served, and within which limits.
        host: Address to listen on; the default is reached from this machine only.
        port: 0 for a free one, which the log tells.

    Raises:
        ValueError: If the port is none.
        OSError: If the host is no address of this machine, or the port is not to be had.
    """
    sockets = _bind(host, port)
    config = uvicorn.Config(
        create_app(settings),
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.deadline) + 1,
    )
    return _Server(config, sockets)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until the process is told to end; see `make_server`."""
    set_up_logs()
    if settings.api_key is None and host not in _LOOPBACK:
        log.warning("others can reach this server, and it asks for no key", extra={"host": host})
    make_server(settings, host, port).run()
