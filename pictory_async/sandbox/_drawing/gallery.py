"""The PNG files: drawn on request, off the event loop, and kept for a while."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from pictory_async.sandbox._drawing.png import solid

if TYPE_CHECKING:
    from pictory_async.sandbox._history import ImageView

_KEPT: Final = 64  # files


class Gallery:
    """The files of images; equal requests get equal files."""

    def __init__(self, *, pictures: bool) -> None:
        self._pictures = pictures
        self._painter: Any = None
        self._files: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    async def load(self) -> None:
        """Load Pillow, unless the files are of one color.

        Raises:
            ImportError: It is not installed; the message says how to install it.
        """
        if self._pictures and self._painter is None:
            self._painter = await asyncio.to_thread(_load_painter)

    async def png(self, image: ImageView) -> bytes:
        """Return the file of *image*."""
        key = (image.prompt, image.style, image.model, image.aspect_ratio)
        if key not in self._files:
            self._files[key] = await self._draw(image)
            if len(self._files) > _KEPT:
                self._files.popitem(last=False)
        self._files.move_to_end(key)
        return self._files[key]

    async def _draw(self, image: ImageView) -> bytes:
        if self._painter is None:
            # A lone surrogate is valid in JSON but not in UTF-8.
            text = image.prompt.encode(errors="surrogatepass")
            red, green, blue = hashlib.sha256(text).digest()[:3]
            return solid(image.width, image.height, (red, green, blue))
        return bytes(await asyncio.to_thread(self._painter.paint, image))


def _load_painter() -> Any:
    try:
        return importlib.import_module("pictory_async.sandbox._drawing.pictures")
    except ImportError as exc:
        msg = (
            "the sandbox draws its pictures with Pillow: "
            "pip install 'pictory-async[sandbox]', or pass pictures=False"
        )
        raise ImportError(msg) from exc
