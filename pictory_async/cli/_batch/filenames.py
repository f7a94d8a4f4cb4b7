"""Names of image files as a prompt file gives them: safe on any system, and unique."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# File systems allow 255; the extension and a temporary name need some.
_MOST_BYTES: Final = 200
# The service decides on the format; the library adds the extension that fits.
_EXTENSION: Final = re.compile(r"\.(png|jpe?g|webp|avif|gif)$", re.IGNORECASE)
# Windows allows none of them; a slash would lead out of the folder anywhere.
_FORBIDDEN: Final = re.compile('[<>:"/\\\\|?*\x00-\x1f\x7f]')
# Names of devices in Windows, whatever their extension.
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class FileNames:
    """The names given so far, and whether prompts are to have one."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}
        self._first: tuple[int, bool] | None = None  # its line, and whether it is named

    def problem(self, line: int, name: str | None) -> str | None:
        """Return why the prompt on *line* cannot have this name; None if it can."""
        first, named = self._first = self._first or (line, name is not None)
        if name is None:
            return f"is missing, but line {first} has one" if named else None
        if not named:
            return f"is given here, but line {first} has none: name all files or none"
        return _unsafe(name) or self._taken(line, name)

    def _taken(self, line: int, name: str) -> str | None:
        # As macOS and Windows compare names.
        key = unicodedata.normalize("NFC", stem(name)).casefold()
        other = self._lines.setdefault(key, line)
        if other == line:
            return None
        return f"{name!r:.80} is the name on line {other} already"


def stem(name: str) -> str:
    """Return a name without the extension of an image."""
    return _EXTENSION.sub("", name)


def _unsafe(name: str) -> str | None:
    if found := _FORBIDDEN.search(name):
        return f"must be a name, without {found[0]!r}, not {name!r:.80}"
    if name.startswith(".") or name.endswith((".", " ")):
        return f"must neither begin nor end with a dot, not be {name!r:.80}"
    if _DEVICE.match(name):
        return f"must not be the name of a device of Windows, such as {name!r:.80}"
    if len(stem(name).encode()) > _MOST_BYTES:
        return f"must have at most {_MOST_BYTES} bytes in UTF-8"
    return None
