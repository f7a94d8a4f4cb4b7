"""The history: what the account has made, newest first, page by page."""

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
    """An item of any history; it has a date."""

    @property
    def created_at(self) -> datetime | None: ...


ItemT = TypeVar("ItemT", bound=Dated)
PageT = TypeVar("PageT")


@attrs.define(eq=False)
class Cursor:
    """A position in a history. It does no I/O.

    Attributes:
        next_page_key: The key of the first page not yet fetched; None before the first
            page and after the last.
        since: The first item created before this moment ends the iteration.
        left: The number of items that may still be yielded; None for no limit.
        ended: Whether no page is left to fetch.
    """

    next_page_key: str | None = None
    since: datetime | None = None
    left: int | None = None
    ended: bool = False
    # Hashes of keys; the keys themselves would fill the memory in a long history.
    _fetched: set[int] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.ended = self.left == 0

    def check(self) -> str | None:
        """Return the key of the next page.

        Raises:
            PaginationError: It was fetched before; reading on would never end.
        """
        key = self.next_page_key
        if key is not None and hash(key) in self._fetched:
            raise PaginationError(next_page_key=key)
        return key

    def advance(
        self, items: tuple[ItemT, ...], next_page_key: str | None
    ) -> tuple[ItemT, ...]:
        """Move past a page; return the items of it to yield."""
        if self.next_page_key is not None:
            self._fetched.add(hash(self.next_page_key))
        recent = self._recent(items)
        all_recent = len(recent) == len(items)
        if self.left is not None:
            recent = recent[: self.left]
            self.left -= len(recent)
        self.next_page_key = next_page_key
        self.ended = next_page_key is None or not all_recent or self.left == 0
        return recent

    def _recent(self, items: tuple[ItemT, ...]) -> tuple[ItemT, ...]:
        # [D] api-reference/ai-studio/get-images: newest first, so that the first item
        # from before *since* is the end. An item without a readable date does not count
        # as old.
        if self.since is None:
            return items
        for index, item in enumerate(items):
            if item.created_at is not None and item.created_at < self.since:
                return items[:index]
        return items


class History(ABC, Generic[ItemT, PageT]):
    """Streams the history of any product, by item or by page."""

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
        """Return a page with these items."""

    @property
    def next_page_key(self) -> str | None:
        """The key of the first page not yet fetched; None at the beginning and the end.

        ``session.history(start=key)`` continues there, even in another program. The
        rest of a page that was only partly used (because you left the loop, or by
        *limit* or *since*) is skipped: iterate by `pages` to stop between two pages.
        """
        return self._cursor.next_page_key

    def __aiter__(self) -> Self:
        """Return itself: all iterations share one position."""
        return self

    async def __anext__(self) -> ItemT:
        """Return the next item."""
        while not self._buffer:
            async with self._lock:  # two tasks may share one history
                if not self._buffer and not await self._fetch_page():
                    raise StopAsyncIteration
        return self._buffer.popleft()

    def pages(self) -> AsyncIterator[PageT]:
        """Iterate by page, beginning with the rest of a page that was partly used."""
        return _Pages(self._rest_or_next_page)

    async def _rest_or_next_page(self) -> PageT | None:
        async with self._lock:
            if not self._buffer and not await self._fetch_page():
                return None
            items = tuple(self._buffer)
            self._buffer.clear()
            return self._page(items, self.next_page_key)

    async def _fetch_page(self) -> bool:
        """Fetch a page into the buffer; return False at the end of the history.

        The position moves only after the page has arrived.
        """
        if self._cursor.ended:
            return False
        items, key = self._read(await self._fetch(self._cursor.check()))
        self._buffer.extend(self._cursor.advance(items, key))
        return True


class ImageHistory(History[HistoryImage, HistoryPage]):
    """Streams the history: ``async for image in session.history()``.

    `pages` streams whole pages instead; both share one position in the history. A page
    is fetched when it is needed, so leaving the loop costs nothing more. After an
    error, or after leaving the loop, the same object continues where it was, without
    loss or repetition.

    Cancelling a step loses nothing: the next one fetches the page again.

    The errors below are raised by iterating, not by the constructor.

    Raises:
        PaginationError: The service named a page that was already read.
        APIError, TransportError, InvalidResponseError: The page could not be read.

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
    """An iterator of pages.

    Not an async generator, which ends with its first error: this one can go on.
    """

    def __init__(self, step: Callable[[], Awaitable[PageT | None]]) -> None:
        self._step = step

    async def __anext__(self) -> PageT:
        page = await self._step()
        if page is None:
            raise StopAsyncIteration
        return page
