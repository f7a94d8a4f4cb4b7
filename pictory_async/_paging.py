"""Which page comes next, and which images of it count: no I/O."""

from __future__ import annotations

from datetime import datetime

import attrs

from pictory_async._errors import PaginationError
from pictory_async._models import HistoryImage, HistoryPage


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
