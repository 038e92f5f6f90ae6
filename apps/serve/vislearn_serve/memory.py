"""The memory that requests hold: one sum for all, so that many of them can't fill it together."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from vislearn_serve.errors import Refused


class Memory:
    """What all requests hold together; used from the event loop and from threads.

    Args:
        limit: Most bytes.
        show: Called with the sum whenever it changes.
    """

    def __init__(self, limit: int, show: Callable[[int], None] = lambda held: None):
        self.limit, self.held = limit, 0
        self._show, self._lock = show, threading.Lock()

    @contextlib.contextmanager
    def share(self) -> Iterator["Share"]:
        """What one request holds until the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            share.close()

    def add(self, share: "Share", count: int) -> None:
        """See `Share.take`."""
        with self._lock:
            if share.closed:
                raise RuntimeError("Nobody waits for this request any more.")
            if share.held + count > self.limit:
                raise Refused(413, f"This request takes more than {self.limit:,} bytes of memory.")
            if self.held + count > self.limit:
                raise Refused(503, "Other requests fill the memory.", retry_after=1)
            share.held += count
            self._change(count)

    def remove(self, share: "Share") -> None:
        """See `Share.close`."""
        with self._lock:
            share.closed = True
            self._change(-share.held)
            share.held = 0

    def _change(self, count: int) -> None:
        self.held += count
        self._show(self.held)


class Share:
    """What one request holds.

    Attributes:
        held: Bytes.
        closed: Whether the request is over.
    """

    def __init__(self, memory: Memory):
        self._memory = memory
        self.held, self.closed = 0, False

    def take(self, count: int) -> None:
        """Asks for so many bytes more.

        Raises:
            Refused: If there are not as many.
            RuntimeError: If the request is over: a thread that works for it may stop.
        """
        self._memory.add(self, count)

    def close(self) -> None:
        """Gives all of it back."""
        self._memory.remove(self)


class Pixels:
    """How many pixels are decoded at a time; threads wait for their turn.

    Args:
        limit: Most of them, and the most of one picture.
    """

    def __init__(self, limit: int):
        self._free, self._changed = limit, threading.Condition()

    @contextlib.contextmanager
    def decoding(self, count: int) -> Iterator[None]:
        """Waits until so many may be decoded, and keeps them until the end of the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
