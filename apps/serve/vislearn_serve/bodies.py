"""Bodies of requests: received within the limits, and unpacked."""

import asyncio
import zlib

from starlette.requests import ClientDisconnect, Request

from vislearn_serve.errors import Refused
from vislearn_serve.memory import Share

_PAUSE_SECONDS = 10.0  # in which the next piece has to come
_STEP = 2**20  # bytes that are unpacked before the memory is asked for more


async def receive(request: Request, limit: int, share: Share) -> bytes:
    """The body as it was sent.

    Raises:
        Refused: If it is larger than the limit, or there is no memory for it.
        TimeoutError: If the client stops in the midst of it.
    """
    # Digits: the parser of HTTP has seen to that.
    if int(request.headers.get("content-length", 0)) > limit:
        raise _too_large(limit)
    chunks, size, more = [], 0, True
    while more:
        async with asyncio.timeout(_PAUSE_SECONDS):
            message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        share.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def unpack(body: bytes, encoding: str, limit: int, share: Share) -> bytes:
    """The content of a gzip or deflate body; its memory is asked for while it grows.

    Raises:
        Refused: If it is no such body, larger than the limit, or there is no memory for it.
    """
    bits = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
    if bits is None:
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} must be gzip or deflate.")
    unpacker, parts, size, rest = zlib.decompressobj(bits), [], 0, body
    while not unpacker.eof:
        try:
            part = unpacker.decompress(rest, _STEP)
        except zlib.error as error:
            raise Refused(400, f"The body is no {encoding}: {error}.") from error
        rest = unpacker.unconsumed_tail
        if not part and not rest:
            raise Refused(400, f"The body is {encoding} that ends too early.")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        share.take(len(part))
        parts.append(part)
    if unpacker.unused_data:
        raise Refused(400, f"The body goes on for {len(unpacker.unused_data)} bytes after its end.")
    return b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"The body is larger than {limit:,} bytes.")
