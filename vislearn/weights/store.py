"""Published files on this machine: downloaded once, resumed, checked, kept in a cache folder."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from vislearn.weights.layout import Published

_BLOCK = 1 << 20
_TIMEOUT = 60  # Seconds without a byte.


def cache_folder() -> Path:
    """Where published files are kept: `$VISLEARN_CACHE`, or `vislearn` in the user's cache."""
    named = os.environ.get("VISLEARN_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vislearn"


def cached_path(file: Published) -> Path:
    """Where a published file lies, or will lie, on this machine."""
    return cache_folder() / file.library / f"{file.model}{Path(file.url).suffix}"


def fetch(file: Published) -> Path:
    """The path of a published file, which is downloaded if it is not there.

    A download goes to a file of its own that is renamed when it is whole and has the published
    hash; what was interrupted goes on where it stopped. The sha256 is kept beside the file and
    compared each time.

    Raises:
        ConnectionError: If the file can't be reached or the connection breaks off.
        ValueError: If the file has another hash than it should.
    """
    path = cached_path(file)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        digests = [d for d in (file.digest, _announced(file.url)) if d is not None]
        _download(file.url, part)
        for digest in digests:
            _check(part, digest, f"{file.url} was downloaded as {part}", delete=True)
        _recorded(path).write_text(_hash(part, "sha256") + "\n")
        part.replace(path)
    if not _recorded(path).exists():
        raise ValueError(f"{path} has no {_recorded(path).name} beside it: delete it.")
    _check(path, f"sha256:{_recorded(path).read_text().strip()}", str(path), delete=False)
    return path


def _recorded(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _check(path: Path, digest: str, what: str, *, delete: bool) -> None:
    kind, _, expected = digest.partition(":")
    found = _hash(path, kind)
    if not found.startswith(expected):
        if delete:
            path.unlink()
        advice = "try again" if delete else "delete it and it is downloaded again"
        raise ValueError(f"{what}, and its {kind} is {found} and not {expected}: {advice}.")


def _hash(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def _announced(url: str) -> str | None:
    """The sha256 that the Hugging Face hub tells before it redirects to the file itself."""
    if "huggingface.co" not in url:
        return None
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as redirect:  # Which is how urllib hands a redirection over.
        headers = redirect.headers
    except OSError as error:
        raise ConnectionError(f"{url} can't be reached: {error}") from error
    tag = (headers.get("X-Linked-ETag") or "").strip('"')
    return f"sha256:{tag}" if re.fullmatch("[0-9a-f]{64}", tag) else None


def _download(url: str, part: Path) -> None:
    """Downloads to `part`, from where it stopped the last time."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # Nothing is left to send.
            raise ConnectionError(f"{url}: the server says {error.code} {error.reason}.") from error
        return
    except OSError as error:
        raise ConnectionError(
            f"{url} can't be reached: {error}. Download it elsewhere and give its path as weights."
        ) from error
    with answer, Progress(*columns) as progress:
        resumed = answer.status == 206
        begun = begun if resumed else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else begun + int(length)
        task = progress.add_task(Path(url).name, total=total, completed=begun)
        with open(part, "ab" if resumed else "wb") as file:
            for block in _blocks(answer, url, part):
                file.write(block)
                progress.advance(task, len(block))
    size = part.stat().st_size
    if total is not None and size != total:
        raise ConnectionError(
            f"{url} broke off after {size:,} of {total:,} bytes; they are kept, and the next try "
            "goes on from there."
        )


def _blocks(answer, url: str, part: Path) -> Iterator[bytes]:
    try:
        while block := answer.read(_BLOCK):
            yield block
    except OSError as error:
        raise ConnectionError(
            f"{url} broke off: {error}. What came is kept in {part}, and the next try goes on."
        ) from error
