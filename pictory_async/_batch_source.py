"""Where the prompts of a batch come from: one at a time, when it is their turn."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence, Sized
from typing import Any

from pictory_async._batch_plan import Prompts


class Source:
    """Pulls prompts from any iterable or async iterable."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts: Prompts | None = prompts
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None
        self.total: int | None = len(prompts) if isinstance(prompts, Sized) else None

    @property
    def known(self) -> Sequence[Any]:
        """All prompts, if they are known in full; else nothing."""
        prompts = self._prompts
        return prompts if isinstance(prompts, Sequence) else ()

    async def pull(self) -> Any:
        """Return the next prompt.

        Raises:
            StopAsyncIteration: There are no more.
            Exception: Whatever the iterable raises.
        """
        if self._iterator is None:
            self._iterator = self._begin()
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Forget the prompts."""
        self._prompts = self._iterator = None

    def _begin(self) -> Iterator[Any] | AsyncIterator[Any]:
        prompts = self._prompts
        if prompts is None:
            raise StopAsyncIteration
        if isinstance(prompts, AsyncIterable):
            return aiter(prompts)
        return iter(prompts)
