"""Downloads: from the URL of an image to a file that is complete or absent."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import attrs
from anyio import to_thread

from pictory_async._core.endpoints import Kind
from pictory_async._core.errors import DownloadError, PictoryError, SessionClosedError
from pictory_async._core.text import is_web_url
from pictory_async._core.wire import Answer, error_for
from pictory_async._http.sender import Sender
from pictory_async._http.transport import FileStream, Permit
from pictory_async._tasks import uncancelled

ValueT = TypeVar("ValueT")

# Bytes written at a time: larger pieces need fewer calls to the worker thread.
_PIECE: Final = 256 * 2**10

# Bytes. Far more than any image has; a server that sends without end must not fill a
# disk.
LARGEST_FILE: Final = 512 * 2**20

# Characters of a name, far below the limit of any file system.
_LONGEST: Final = 100

# Windows refuses these names, with any extension.
_RESERVED: Final = {"CON", "PRN", "AUX", "NUL"} | {
    f"{device}{digit}" for device in ("COM", "LPT") for digit in range(10)
}

_EXTENSIONS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
}

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
)

PNG_SIGNATURE: Final = _SIGNATURES[0][0]


def safe_stem(name: str) -> str:
    """Return *name* as a file name without extension that cannot leave its folder.

    A name that had to be changed gets a checksum, so that two names stay different.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:_LONGEST] or "image"
    if cleaned.split(".")[0].upper() in _RESERVED:
        cleaned = f"_{cleaned}"
    checksum = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    return cleaned if cleaned == name else f"{cleaned}-{checksum:08x}"


def extension(content_type: str, *, beginning: bytes) -> str | None:
    """Return the file extension of an image; None if it is not an image.

    Args:
        content_type: The value of the header; its parameters are ignored.
        beginning: The first bytes, which decide if the header names no image type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _EXTENSIONS:
        return _EXTENSIONS[kind]
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return ".webp"
    return next((ext for sign, ext in _SIGNATURES if beginning.startswith(sign)), None)


@attrs.frozen
class Target:
    """The destination of a download.

    Attributes:
        folder: The folder, which exists.
        name: The name of the file; None to use *stem* and the extension of the type.
        stem: The name without extension.
        overwrite: Whether to replace an existing file.
    """

    folder: Path
    name: str | None
    stem: str
    overwrite: bool

    def path(self, suffix: str) -> Path:
        """Return the file's path, once the type is known."""
        return self.folder / (self.name or f"{self.stem}{suffix}")


async def save(
    sender: Sender,
    *,
    url: str,
    image_id: str,
    to: str | os.PathLike[str],
    overwrite: bool,
) -> Path:
    """Download *url*; see `PictorySession.download`."""
    if not is_web_url(url):
        raise DownloadError("not an http(s) URL", url=url)
    target = await _in_thread(_prepare, to, safe_stem(image_id), overwrite)
    attempt = partial(_attempt, sender, url, target)
    try:
        return await sender.retry(attempt, kind=Kind.DOWNLOAD, permit=Permit())
    except (DownloadError, SessionClosedError):
        raise
    except PictoryError as exc:
        raise DownloadError(_reason(exc), url=url, status=exc.status) from exc


async def _attempt(sender: Sender, url: str, target: Target) -> Path:
    await sender.turns.acquire(Kind.DOWNLOAD)
    try:
        stream = await sender.transport.open(url)
        try:
            path = await _store(stream, url, target)
            sender.counters.ok[Kind.DOWNLOAD] += 1
            return path
        finally:
            stream.close()
    except PictoryError as error:
        sender.counters.attempt_failed(Kind.DOWNLOAD, error)
        raise
    finally:
        sender.turns.release()


async def _store(stream: FileStream, url: str, target: Target) -> Path:
    if stream.status != 200:
        raise error_for(Answer(stream.status, b"", retry_after=stream.retry_after))
    beginning = await _read_piece(stream)
    suffix = extension(stream.content_type, beginning=beginning)
    if suffix is None or (suffix == ".png" and not beginning.startswith(PNG_SIGNATURE)):
        what = stream.content_type or "something without a type"
        raise DownloadError(f"not an image but {what:.60}", url=url, status=200)
    part = _Part(target.path(suffix), overwrite=target.overwrite)
    try:
        await _in_thread(part.create)
        await _copy(stream, part, beginning, url)
        await _in_thread(part.commit)
    finally:
        await _in_thread(part.discard)  # does nothing after a commit
    return part.path


async def _copy(stream: FileStream, part: _Part, piece: bytes, url: str) -> None:
    size = 0
    while piece:
        size += len(piece)
        if size > LARGEST_FILE:
            raise DownloadError(f"larger than {LARGEST_FILE:,} bytes", url=url)
        await _in_thread(part.write, piece)
        piece = await _read_piece(stream)


async def _read_piece(stream: FileStream) -> bytes:
    """Read at least `_PIECE` bytes; less only at the end, where it is empty."""
    pieces, size = [], 0
    while size < _PIECE and (piece := await stream.read()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _reason(error: PictoryError) -> str:
    return f"the server answered {error.status}" if error.status else str(error)


# --- in a thread: never on the event loop -----------------------------------------


async def _in_thread(function: Callable[..., ValueT], *args: object) -> ValueT:
    """Run *function* in a worker thread.

    A thread cannot be stopped. Cancelling this waits for it, so that what it wrote can
    be removed afterwards.
    """
    work = asyncio.create_task(to_thread.run_sync(function, *args), name="pictory-file")
    return await uncancelled(work)


def _prepare(to: str | os.PathLike[str], stem: str, overwrite: bool) -> Target:  # noqa: FBT001
    """Determine whether *to* is a file or a folder, and create the folder."""
    text, path = os.fspath(to), Path(to)
    separators = tuple(s for s in (os.sep, os.altsep, "/") if s)
    if path.is_dir() or text.endswith(separators):
        folder, name = path, None
    else:
        folder, name = path.parent, path.name
        if not overwrite and os.path.lexists(path):
            raise _exists(path)
    folder.mkdir(parents=True, exist_ok=True)
    return Target(folder, name, stem, overwrite)


class _Part:
    """A file that gets its name once it is complete. Its methods run in threads."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self._overwrite = overwrite
        unique = secrets.token_hex(6)
        self._temporary = path.with_name(f".{path.name[:80]}.{unique}.part")
        self._file: BinaryIO | None = None

    def create(self) -> None:
        """Create the temporary file, with the permissions of any new file."""
        if not self._overwrite and os.path.lexists(self.path):
            raise _exists(self.path)  # before anything is transferred
        self._file = self._temporary.open("xb")

    def write(self, piece: bytes) -> None:
        """Append *piece* to the temporary file."""
        assert self._file is not None  # noqa: S101 - created first
        self._file.write(piece)

    def commit(self) -> None:
        """Give the file its name, atomically."""
        assert self._file is not None  # noqa: S101 - created first
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._overwrite:
            self._temporary.replace(self.path)
            return
        try:
            self.path.hardlink_to(self._temporary)  # a rename could replace a file
        except FileExistsError:
            raise _exists(self.path) from None  # without the temporary name
        except OSError:  # a file system without hard links
            if os.path.lexists(self.path):
                raise _exists(self.path) from None
            self._temporary.replace(self.path)

    def discard(self) -> None:
        """Close and remove the temporary file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
