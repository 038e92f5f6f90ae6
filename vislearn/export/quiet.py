"""Keeps converters and runtimes, which write to the terminal from C++, from doing so."""

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallows warnings, and what Python or C++ writes to stdout and stderr inside.

    If an exception leaves the block, the end of what was swallowed goes with it as a note. The
    two streams belong to the process: other threads are silenced, too.
    """
    printed = io.StringIO()
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        saved = [os.dup(1), os.dup(2)]
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
                warnings.catch_warnings(action="ignore"),
            ):
                yield
        except Exception as error:
            log.seek(0)
            text = log.read().decode(errors="replace") + printed.getvalue()
            if text.strip():
                error.add_note(f"It had written:\n{text[-4000:]}")
            raise
        finally:
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)
