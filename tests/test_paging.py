"""Which page comes next, and which of its images count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pictory_async._errors import PaginationError
from pictory_async._models import HistoryImage, HistoryPage
from pictory_async._paging import Cursor

NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)


def page(*hours: int | None, key: str | None = None) -> HistoryPage:
    """Return a page of images made so many hours before noon; None is undated."""
    images = tuple(
        HistoryImage(
            id=str(index),
            url="https://cdn.example/a.png",
            created_at=None if hour is None else NOON - timedelta(hours=hour),
        )
        for index, hour in enumerate(hours)
    )
    return HistoryPage(images=images, next_page_key=key)


def test_pages_follow_their_keys_to_the_end() -> None:
    """The walk begins without a key, follows each, and ends without one."""
    cursor = Cursor()

    assert cursor.check() is None
    assert cursor.receive(page(0, 1, key="k1")) == page(0, 1, key="k1")
    assert (cursor.next_page_key, cursor.ended) == ("k1", False)
    assert cursor.check() == "k1"
    cursor.receive(page(2))
    assert (cursor.next_page_key, cursor.ended) == (None, True)


def test_an_empty_page_with_a_key_is_not_the_end() -> None:
    """Only a missing key ends the walk."""
    cursor = Cursor()
    cursor.receive(page(key="k1"))

    assert (cursor.check(), cursor.ended) == ("k1", False)
    cursor.receive(page())
    assert cursor.ended is True


def test_a_page_that_failed_is_asked_for_again() -> None:
    """Asking moves nothing: without an answer the key stays the same."""
    cursor = Cursor(next_page_key="k1")

    assert [cursor.check(), cursor.check()] == ["k1", "k1"]


@pytest.mark.parametrize("keys", [["k1", "k1"], ["k1", "k2", "k1"], ["k0"]])
def test_a_repeated_key_is_refused(keys: list[str]) -> None:
    """A key that was asked for before is an error each time, never a loop."""
    cursor = Cursor(next_page_key="k0")
    for key in keys:
        cursor.check()
        cursor.receive(page(0, key=key))

    for _ in range(2):
        with pytest.raises(PaginationError) as caught:
            cursor.check()
        assert caught.value.next_page_key == keys[-1]
    assert cursor.ended is False


def test_the_images_before_a_repeated_key_count() -> None:
    """The page that names a key again is itself given."""
    cursor = Cursor(next_page_key="k0")

    assert cursor.receive(page(0, 1, key="k0")).images == page(0, 1).images


def test_since_ends_the_walk_at_the_first_older_image() -> None:
    """The bound is inclusive, and what comes after an older image does not count."""
    cursor = Cursor(since=NOON - timedelta(hours=2))

    assert cursor.receive(page(0, 1, key="k1")).images == page(0, 1).images
    assert cursor.ended is False
    assert cursor.receive(page(2, 3, 1, key="k2")).images == page(2).images
    assert cursor.ended is True


def test_since_may_be_in_another_zone() -> None:
    """Moments are compared, not their digits."""
    tokyo = timezone(timedelta(hours=9))
    cursor = Cursor(since=(NOON - timedelta(hours=1)).astimezone(tokyo))

    assert len(cursor.receive(page(0, 1, 2, key="k1")).images) == 2


def test_an_undated_image_does_not_stop_the_walk() -> None:
    """An image without a readable date cannot be older than anything."""
    cursor = Cursor(since=NOON - timedelta(hours=2))

    assert len(cursor.receive(page(None, 1, None, key="k1")).images) == 3
    assert cursor.ended is False


def test_the_limit_counts_over_pages() -> None:
    """No more images are given than asked for, and the walk ends with the last."""
    cursor = Cursor(left=3)

    assert len(cursor.receive(page(0, 1, key="k1")).images) == 2
    assert (cursor.left, cursor.ended) == (1, False)
    assert cursor.receive(page(2, 3, key="k2")).images == page(2).images
    assert (cursor.left, cursor.ended) == (0, True)


def test_a_limit_beyond_the_end_is_no_error() -> None:
    """The last page ends the walk with images left to give."""
    cursor = Cursor(left=10)
    cursor.receive(page(0))

    assert (cursor.left, cursor.ended) == (9, True)


def test_a_limit_of_none_at_all_asks_for_nothing() -> None:
    """A walk of no images has ended before its first page."""
    assert Cursor(left=0).ended is True
    assert Cursor(left=1).ended is False


def test_limit_and_since_work_together() -> None:
    """Images that are too old do not count towards the limit."""
    cursor = Cursor(since=NOON - timedelta(hours=1), left=5)

    assert len(cursor.receive(page(0, 1, 2, key="k1")).images) == 2
    assert (cursor.left, cursor.ended) == (3, True)
