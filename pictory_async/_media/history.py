"""The account's images, newest first, page by page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import attrs

from pictory_async._core.errors import PaginationError
from pictory_async._core.models import HistoryImage, HistoryPage

FetchPage = Callable[[str | None], Awaitable[HistoryPage]]


@attrs.define(eq=False)
class Cursor:
    """The place in the history.

    Attributes:
        next_page_key: The first page not yet fetched; None for the newest before the
            beginning and at the end.
        since: Images created before it end the walk.
        left: How many images may still be given; None for all.
        ended: Whether no page is left to fetch.
    """

    next_page_key: str | None = None
    since: datetime | None = None
    left: int | None = None
    ended: bool = False
    # Only their hashes, so that memory stays flat over a long history.
    _asked: set[int] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.ended = self.left == 0

    def check(self) -> str | None:
        """Return the key to ask for.

        Raises:
            PaginationError: It was asked for before: going on would never end.
        """
        key = self.next_page_key
        if key is not None and hash(key) in self._asked:
            raise PaginationError(next_page_key=key)
        return key

    def receive(self, page: HistoryPage) -> HistoryPage:
        """Move behind *page*; return the part of it that counts."""
        if self.next_page_key is not None:
            self._asked.add(hash(self.next_page_key))
        images = self._young_enough(page.images)
        whole = len(images) == len(page.images)
        if self.left is not None:
            images = images[: self.left]
            self.left -= len(images)
        self.next_page_key = page.next_page_key
        self.ended = page.next_page_key is None or not whole or self.left == 0
        return attrs.evolve(page, images=images)

    def _young_enough(
        self, images: tuple[HistoryImage, ...]
    ) -> tuple[HistoryImage, ...]:
        # [D] ai-studio/get-images: newest first, so the first older one is the end.
        # One without a readable date cannot be older than anything.
        if self.since is None:
            return images
        for index, image in enumerate(images):
            if image.created_at is not None and image.created_at < self.since:
                return images[:index]
        return images


class ImageHistory:
    """Streams the history: ``async for image in session.history()``.

    `pages` streams whole pages instead; both share one place in the history. A page
    is fetched when it is needed, so leaving the loop costs nothing more. After an
    error, or after leaving the loop, the same object goes on where it was, without
    loss or repetition.

    Cancelling a step loses nothing: the page is fetched again by the next one.

    Iterating over it is what raises.

    Raises:
        PaginationError: The service named a page that was read before.
        APIError, TransportError, InvalidResponseError: The page could not be had.

    Source: https://docs.pictory.ai/api-reference/ai-studio/get-images
    """

    def __init__(self, fetch: FetchPage, cursor: Cursor) -> None:
        self._fetch = fetch
        self._cursor = cursor
        self._buffer: deque[HistoryImage] = deque()
        self._lock = asyncio.Lock()

    @property
    def next_page_key(self) -> str | None:
        """The first page not yet fetched; None before the first and at the end.

        ``session.history(start=key)`` goes on from there, tomorrow too. A page that
        was begun (by leaving the loop, or by *limit* or *since*) is behind it: iterate
        by `pages` to stop between two.
        """
        return self._cursor.next_page_key

    def __aiter__(self) -> ImageHistory:
        """Return itself: the place in the history is one."""
        return self

    async def __anext__(self) -> HistoryImage:
        """Return the next image."""
        while not self._buffer:
            async with self._lock:  # two tasks may share one history
                if not self._buffer:
                    page = await self._next_page()
                    if page is None:
                        raise StopAsyncIteration
                    self._buffer.extend(page.images)
        return self._buffer.popleft()

    def pages(self) -> AsyncIterator[HistoryPage]:
        """Iterate by page; first over the rest of a page that was begun by image."""
        return _Pages(self._rest_or_next_page)

    async def _rest_or_next_page(self) -> HistoryPage | None:
        async with self._lock:
            if not self._buffer:
                return await self._next_page()
            rest = tuple(self._buffer)
            self._buffer.clear()
            return HistoryPage(images=rest, next_page_key=self.next_page_key)

    async def _next_page(self) -> HistoryPage | None:
        """Fetch a page; the place moves only once it is here."""
        if self._cursor.ended:
            return None
        page = await self._fetch(self._cursor.check())
        return self._cursor.receive(page)


class _Pages(AsyncIterator[HistoryPage]):
    """Not a generator: one is dead after its first error, and pages would be lost."""

    def __init__(self, step: Callable[[], Awaitable[HistoryPage | None]]) -> None:
        self._step = step

    async def __anext__(self) -> HistoryPage:
        page = await self._step()
        if page is None:
            raise StopAsyncIteration
        return page
