"""Names for files made from what a server said, safe on every system."""

from __future__ import annotations

import re
import zlib
from typing import Final

_LONGEST = 100  # characters, far below any file system's limit with its extension

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
    """Return *name* as a file name without extension: it cannot leave its folder.

    A name that had to be changed gets a mark of its own, so that two of them do not
    become one.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:_LONGEST] or "image"
    if cleaned.split(".")[0].upper() in _RESERVED:
        cleaned = f"_{cleaned}"
    mark = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    return cleaned if cleaned == name else f"{cleaned}-{mark:08x}"


def extension(content_type: str, *, beginning: bytes) -> str | None:
    """Return the extension for an image; None if it is none.

    Args:
        content_type: As the server named it; parameters are ignored.
        beginning: The first bytes, which decide where the server named no image.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _EXTENSIONS:
        return _EXTENSIONS[kind]
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return ".webp"
    return next((ext for sign, ext in _SIGNATURES if beginning.startswith(sign)), None)
