"""What the account has made, newest first, page by page."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Generic, Protocol, Self, TypeVar

import attrs

from pictory_async._core.errors import PaginationError
from pictory_async._core.models import HistoryImage, HistoryPage


class Dated(Protocol):
    """An item of a history."""

    @property
    def created_at(self) -> datetime | None: ...


ItemT = TypeVar("ItemT", bound=Dated)
PageT = TypeVar("PageT")


@attrs.define(eq=False)
class Cursor:
    """The place in a history. It does no I/O.

    Attributes:
        next_page_key: The first page not yet fetched; None for the newest before the
            beginning and at the end.
        since: Items created before it end the walk.
        left: How many items may still be given; None for all.
        ended: Whether no page is left to fetch.
    """

    next_page_key: str | None = None
    since: datetime | None = None
    left: int | None = None
    ended: bool = False
    # Only their hashes, so that memory stays flat over a long history.
    _fetched: set[int] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.ended = self.left == 0

    def check(self) -> str | None:
        """Return the key of the next page.

        Raises:
            PaginationError: It was fetched before: going on would never end.
        """
        key = self.next_page_key
        if key is not None and hash(key) in self._fetched:
            raise PaginationError(next_page_key=key)
        return key

    def advance(
        self, items: tuple[ItemT, ...], next_page_key: str | None
    ) -> tuple[ItemT, ...]:
        """Move past a page; return those of its items that count."""
        if self.next_page_key is not None:
            self._fetched.add(hash(self.next_page_key))
        young = self._young_enough(items)
        whole = len(young) == len(items)
        if self.left is not None:
            young = young[: self.left]
            self.left -= len(young)
        self.next_page_key = next_page_key
        self.ended = next_page_key is None or not whole or self.left == 0
        return young

    def _young_enough(self, items: tuple[ItemT, ...]) -> tuple[ItemT, ...]:
        # [D] ai-studio/get-images: newest first, so the first older one is the end.
        # One without a readable date cannot be older than anything.
        if self.since is None:
            return items
        for index, item in enumerate(items):
            if item.created_at is not None and item.created_at < self.since:
                return items[:index]
        return items


class History(ABC, Generic[ItemT, PageT]):
    """Streams a history, whatever it lists: by item, or by page."""

    def __init__(
        self, fetch: Callable[[str | None], Awaitable[PageT]], cursor: Cursor
    ) -> None:
        self._fetch = fetch
        self._cursor = cursor
        self._buffer: deque[ItemT] = deque()
        self._lock = asyncio.Lock()

    @staticmethod
    @abstractmethod
    def _read(page: PageT) -> tuple[tuple[ItemT, ...], str | None]:
        """Return the items of a page, and the key of the next one."""

    @staticmethod
    @abstractmethod
    def _page(items: tuple[ItemT, ...], next_page_key: str | None) -> PageT:
        """Return a page of such items."""

    @property
    def next_page_key(self) -> str | None:
        """The first page not yet fetched; None before the first and at the end.

        ``session.history(start=key)`` goes on from there, tomorrow too. A page that
        was begun (by leaving the loop, or by *limit* or *since*) is behind it: iterate
        by `pages` to stop between two.
        """
        return self._cursor.next_page_key

    def __aiter__(self) -> Self:
        """Return itself: there is only one place in the history."""
        return self

    async def __anext__(self) -> ItemT:
        """Return the next item."""
        while not self._buffer:
            async with self._lock:  # two tasks may share one history
                if not self._buffer and await self._next_items() is None:
                    raise StopAsyncIteration
        return self._buffer.popleft()

    def pages(self) -> AsyncIterator[PageT]:
        """Iterate by page; first over the rest of a page that was begun by item."""
        return _Pages(self._rest_or_next_page)

    async def _rest_or_next_page(self) -> PageT | None:
        async with self._lock:
            if not self._buffer and await self._next_items() is None:
                return None
            items = tuple(self._buffer)
            self._buffer.clear()
            return self._page(items, self.next_page_key)

    async def _next_items(self) -> int | None:
        """Fetch a page into the buffer; the place moves only once it is here."""
        if self._cursor.ended:
            return None
        items, key = self._read(await self._fetch(self._cursor.check()))
        young = self._cursor.advance(items, key)
        self._buffer.extend(young)
        return len(young)


class ImageHistory(History[HistoryImage, HistoryPage]):
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

    @staticmethod
    def _read(page: HistoryPage) -> tuple[tuple[HistoryImage, ...], str | None]:
        return page.images, page.next_page_key

    @staticmethod
    def _page(
        items: tuple[HistoryImage, ...], next_page_key: str | None
    ) -> HistoryPage:
        return HistoryPage(images=items, next_page_key=next_page_key)


class _Pages(AsyncIterator[PageT]):
    """Not a generator: one is dead after its first error, and pages would be lost."""

    def __init__(self, step: Callable[[], Awaitable[PageT | None]]) -> None:
        self._step = step

    async def __anext__(self) -> PageT:
        page = await self._step()
        if page is None:
            raise StopAsyncIteration
        return page
