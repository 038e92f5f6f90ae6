"""Sockets: slow and endless heads of requests, and the end of the process."""

import asyncio
import logging

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
        full = len(self.connections) > _CONNECTIONS
        self.app = _crowded if full else self.config.loaded_app
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


def make_server(settings: Settings, host: str = "127.0.0.1", port: int = 8080) -> uvicorn.Server:
    """The server; told to end, it answers what it has accepted.

    Args:
        settings: What is served, and within which limits.
        host: Address to listen on; the default is reached from this machine only.
        port: 0 for a free one, which the log tells.
    """
    config = uvicorn.Config(
        create_app(settings),
        host,
        port,
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.deadline) + 1,
    )
    return uvicorn.Server(config)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until the process is told to end; see `make_server`."""
    set_up_logs()
    if settings.api_key is None and host not in _LOOPBACK:
        log.warning("others can reach this server, and it asks for no key", extra={"host": host})
    make_server(settings, host, port).run()
