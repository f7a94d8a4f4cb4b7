"""An asyncio-native client of the Pictory AI Studio image API.

```python
import asyncio
from pictory_async import PictorySession

async def main():
    async with PictorySession() as session:  # reads $PICTORY_API_KEY
        job = await session.submit("A lighthouse at dawn", aspect_ratio="16:9")
        image = await job  # polled in the background
        print(await session.download(image, "pictures/"))

asyncio.run(main())
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictory_async import _public
    from pictory_async._public import *  # noqa: F403

    __all__: list[str] = []
    __all__ += _public.__all__  # in this form for pyright
else:
    # The names come with the first of them that is used (PEP 562). pytest imports the
    # package at the start of every run, for its plugin, and must not pay for aiohttp.

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name not in {"__all__", "__version__"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = importlib.import_module("pictory_async._public")
        names = {found: getattr(public, found) for found in public.__all__}
        globals().update(names, __all__=public.__all__)
        if name in globals():
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
