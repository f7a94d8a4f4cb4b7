"""The history: items and pages, lazily, without loss or repetition."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from pictory_async import (
    APIError,
    AuthenticationError,
    HistoryImage,
    HistoryPage,
    InvalidResponseError,
    PaginationError,
    PictorySession,
    RetryPolicy,
    ServerError,
)
from pictory_async._media.history import Cursor
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime


def fill(sandbox: Sandbox, count: int) -> list[str]:
    """Put *count* images into the history; return their ids, newest first."""
    for number in range(count):
        sandbox.add_image(f"Lighthouse number {number}")
    return [image.id for image in sandbox.images]


def pages_asked(sandbox: Sandbox) -> int:
    """Return how many pages were requested from the sandbox."""
    return sum(r.kind == "images" for r in sandbox.requests)


async def test_yields_every_image_newest_first(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """All images of all pages come, in the service's order, with their data."""
    ids = fill(sandbox, 250)
    images = [image async for image in session.history()]
    assert [image.id for image in images] == ids
    assert pages_asked(sandbox) == 3
    assert images[0].prompt == "Lighthouse number 249"
    assert images[0].created_at is not None
    assert images[0].created_at.tzinfo is UTC
    assert images[0].style is None


async def test_empty_account_has_no_image(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An empty first page is the end."""
    assert [image async for image in session.history()] == []
    assert [page async for page in session.history().pages()] != []
    assert pages_asked(sandbox) == 2


async def test_yields_pages(session: PictorySession, sandbox: Sandbox) -> None:
    """Pages come as the service cut them, the last one without a key."""
    ids = fill(sandbox, 250)
    pages = [page async for page in session.history().pages()]
    assert [len(page.images) for page in pages] == [100, 100, 50]
    assert [image.id for page in pages for image in page.images] == ids
    assert [page.next_page_key is None for page in pages] == [False, False, True]


async def test_items_and_pages_share_one_place(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """After some images by item, the pages go on with the rest of that page."""
    ids = fill(sandbox, 250)
    history = session.history()
    seen = [(await anext(history)).id for _ in range(30)]
    page = await anext(history.pages())
    assert len(page.images) == 70
    seen += [image.id for image in page.images]
    seen += [image.id async for image in history]
    assert seen == ids
    assert pages_asked(sandbox) == 3


async def test_is_lazy(session: PictorySession, sandbox: Sandbox) -> None:
    """Nothing is fetched before it is needed, and one page at a time."""
    fill(sandbox, 250)
    history = session.history()
    await asyncio.sleep(10)
    assert pages_asked(sandbox) == 0
    async for _ in history:
        break
    await asyncio.sleep(10)
    assert pages_asked(sandbox) == 1


async def test_resumes_by_key(session: PictorySession, sandbox: Sandbox) -> None:
    """``next_page_key`` is the first page not yet fetched, and a start for later."""
    ids = fill(sandbox, 250)
    history = session.history()
    assert history.next_page_key is None
    async for _ in history.pages():
        break
    key = history.next_page_key
    assert key is not None
    rest = session.history(start=key)
    assert rest.next_page_key == key
    assert [image.id async for image in rest] == ids[100:]
    assert rest.next_page_key is None


async def test_new_images_do_not_shift_the_pages(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """What is made while we read is neither seen nor the cause of a repetition."""
    ids = fill(sandbox, 150)
    history = session.history()
    seen = [(await anext(history)).id for _ in range(100)]
    fill(sandbox, 20)
    seen += [image.id async for image in history]
    assert seen == ids


async def test_goes_on_after_an_error(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The same iterator can go on: nothing is lost or repeated."""
    ids = fill(sandbox, 250)
    sandbox.add_fault(Fault.answer(401, on="images", after=1))
    history = session.history()
    seen = list[str]()
    with pytest.raises(AuthenticationError):
        async for image in history:
            seen.append(image.id)
    assert len(seen) == 100
    seen += [image.id async for image in history]
    assert seen == ids


async def test_pages_go_on_after_an_error(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An iterator of pages too is alive after an error."""
    ids = fill(sandbox, 250)
    sandbox.add_fault(Fault.answer(401, on="images", after=1))
    pages = session.history().pages()
    seen = [*(await anext(pages)).images]
    with pytest.raises(AuthenticationError):
        await anext(pages)
    async for page in pages:
        seen += page.images
    assert [image.id for image in seen] == ids


async def test_cancelled_page_is_fetched_again(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Cancelling a step loses nothing."""
    ids = fill(sandbox, 150)
    sandbox.add_fault(Fault.slow(20, on="images"))
    history = session.history()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await anext(history)
    assert [image.id async for image in history] == ids


async def test_two_tasks_share_one_history(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Two consumers of one iterator get each image once between them."""
    ids = fill(sandbox, 250)
    history = session.history()

    async def consume() -> list[str]:
        taken = list[str]()
        async for image in history:
            taken.append(image.id)
            await asyncio.sleep(0.001)
        return taken

    taken = await asyncio.gather(consume(), consume())
    assert sorted(taken[0] + taken[1]) == sorted(ids)
    assert min(map(len, taken)) > 50
    assert pages_asked(sandbox) == 3


async def test_limit_stops_early(session: PictorySession, sandbox: Sandbox) -> None:
    """No more images than the limit are yielded, and no unnecessary page is fetched."""
    ids = fill(sandbox, 250)
    assert [i.id async for i in session.history(limit=100)] == ids[:100]
    assert pages_asked(sandbox) == 1
    assert [i.id async for i in session.history(limit=101)] == ids[:101]
    assert pages_asked(sandbox) == 3
    pages = [page async for page in session.history(limit=120).pages()]
    assert [len(page.images) for page in pages] == [100, 20]


async def test_since_is_inclusive_and_stops(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The first image made before *since* ends the iteration; one made at it counts."""
    for _ in range(5):
        fill(sandbox, 1)
        await asyncio.sleep(60)
    images = [image async for image in session.history()]
    middle = images[2].created_at
    assert middle is not None
    assert [i async for i in session.history(since=middle)] == images[:3]
    later = middle + timedelta(microseconds=1)
    assert [i async for i in session.history(since=later)] == images[:2]


def item(number: int, created: str | None = None) -> dict[str, Any]:
    """Return an item of the history as it is on the wire."""
    return {
        "id": f"image-{number}",
        "url": f"https://example.com/{number}.png",
        "createdDate": created,
    }


def serve(sandbox: Sandbox, *pages: dict[str, Any]) -> None:
    """Let the sandbox answer with *pages*, one after another."""
    sandbox.add_fault(*(Fault.answer(200, on="images", body=page) for page in pages))


async def test_undated_image_does_not_stop_since(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An image without a readable date is yielded, and the iteration continues."""
    serve(
        sandbox,
        {"items": [item(1), item(2, "soon"), item(3, "2026-05-01T00:00:00Z")]},
    )
    since = datetime(2026, 6, 1, tzinfo=UTC)
    images = [image async for image in session.history(since=since)]
    assert [image.id for image in images] == ["image-1", "image-2"]
    assert images[1].created_at is None
    assert images[1].extra == {"createdDate": "soon"}


@pytest.mark.parametrize("end", [{}, {"nextPageKey": None}, {"nextPageKey": ""}])
async def test_ends_on_every_form_of_no_key(
    session: PictorySession, sandbox: Sandbox, end: dict[str, Any]
) -> None:
    """Absent, null and empty all mean that there is no further page."""
    serve(
        sandbox, {"items": [item(1)], "nextPageKey": "a"}, {"items": [item(2)], **end}
    )
    assert len([i async for i in session.history()]) == 2
    assert pages_asked(sandbox) == 2


async def test_survives_many_empty_pages(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Empty pages in the middle are no end, and no recursion."""
    empty = [{"items": [], "nextPageKey": f"k{n}"} for n in range(1500)]
    serve(sandbox, *empty, {"items": [item(1)]})
    images = [image async for image in session.history()]
    assert [image.id for image in images] == ["image-1"]


@pytest.mark.parametrize("keys", [["a", "a"], ["a", "b", "a"]])
async def test_repeated_key_is_refused(
    session: PictorySession, sandbox: Sandbox, keys: list[str]
) -> None:
    """A repeated key is an error that names it, not an endless loop."""
    serve(
        sandbox,
        *({"items": [item(n)], "nextPageKey": key} for n, key in enumerate(keys)),
    )
    history = session.history()
    seen = list[HistoryImage]()
    for _ in range(2):
        with pytest.raises(PaginationError) as caught:
            async for image in history:
                seen.append(image)
        assert caught.value.next_page_key == "a"
    assert len(seen) == len(keys)
    assert pages_asked(sandbox) == len(keys)


async def test_key_is_sent_as_it_came(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An opaque key with every awkward character is encoded, not changed."""
    key = "eyJ+/=&?#% ä\n灯"
    serve(sandbox, {"items": [item(1)], "nextPageKey": key}, {"items": []})
    assert len([i async for i in session.history()]) == 1
    assert sandbox.requests[1].query == {"nextPageKey": key}


async def test_page_is_retried(session: PictorySession, sandbox: Sandbox) -> None:
    """A page is free, so it is retried after every failure but a 4xx."""
    ids = fill(sandbox, 3)
    sandbox.add_fault(
        Fault.answer(500, on="images"),
        Fault.answer(200, on="images", body="<html>"),
        Fault.truncate(on="images", keep=10),
        Fault.answer(504, on="images"),
    )
    assert [image.id async for image in session.history()] == ids


async def test_page_is_not_retried_for_ever(sandbox: Sandbox) -> None:
    """After the last try the error is raised, and the iterator can go on later."""
    ids = fill(sandbox, 3)
    sandbox.add_fault(Fault.answer(500, on="images", times=2))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=RetryPolicy(attempts=2)
    ) as session:
        history = session.history()
        with pytest.raises(ServerError):
            await anext(history)
        assert [image.id async for image in history] == ids


async def test_invalid_start_is_the_service_s_to_judge(
    session: PictorySession,
) -> None:
    """A key that the service did not issue is its 400."""
    with pytest.raises(APIError) as caught:
        await anext(session.history(start="nonsense"))
    assert caught.value.status == 400
    assert "nonsense" not in str(caught.value)


async def test_unreadable_item_names_its_place(
    sandbox: Sandbox,
) -> None:
    """An image without a URL is no image: the error says which, and of what page."""
    serve(sandbox, {"items": [item(1), {"id": "x", "url": None}]})
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=RetryPolicy(attempts=1)
    ) as session:
        with pytest.raises(InvalidResponseError) as caught:
            await anext(session.history())
    assert caught.value.where == "$.items[1].url"
    assert caught.value.path == "/v1/aistudio/images"


# --- the cursor

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


def advance(cursor: Cursor, page: HistoryPage) -> HistoryPage:
    """Move past *page*; return the part of it that counts."""
    images = cursor.advance(page.images, page.next_page_key)
    return HistoryPage(images=images, next_page_key=page.next_page_key)


def test_pages_follow_their_keys_to_the_end() -> None:
    """Iterating begins without a key, follows each, and ends without one."""
    cursor = Cursor()

    assert cursor.check() is None
    assert advance(cursor, page(0, 1, key="k1")) == page(0, 1, key="k1")
    assert (cursor.next_page_key, cursor.ended) == ("k1", False)
    assert cursor.check() == "k1"
    advance(cursor, page(2))
    assert (cursor.next_page_key, cursor.ended) == (None, True)


def test_an_empty_page_with_a_key_is_not_the_end() -> None:
    """Only a missing key ends the iteration."""
    cursor = Cursor()
    advance(cursor, page(key="k1"))

    assert (cursor.check(), cursor.ended) == ("k1", False)
    advance(cursor, page())
    assert cursor.ended is True


def test_a_page_that_failed_is_asked_for_again() -> None:
    """Without an answer the position does not move."""
    cursor = Cursor(next_page_key="k1")

    assert [cursor.check(), cursor.check()] == ["k1", "k1"]


@pytest.mark.parametrize("keys", [["k1", "k1"], ["k1", "k2", "k1"], ["k0"]])
def test_a_repeated_key_is_refused(keys: list[str]) -> None:
    """A repeated key is an error each time, never an endless loop."""
    cursor = Cursor(next_page_key="k0")
    for key in keys:
        cursor.check()
        advance(cursor, page(0, key=key))

    for _ in range(2):
        with pytest.raises(PaginationError) as caught:
            cursor.check()
        assert caught.value.next_page_key == keys[-1]
    assert cursor.ended is False


def test_the_images_before_a_repeated_key_count() -> None:
    """The page that repeats a key is itself yielded."""
    cursor = Cursor(next_page_key="k0")

    assert advance(cursor, page(0, 1, key="k0")).images == page(0, 1).images


def test_since_ends_the_walk_at_the_first_older_image() -> None:
    """The bound is inclusive, and what comes after an older image does not count."""
    cursor = Cursor(since=NOON - timedelta(hours=2))

    assert advance(cursor, page(0, 1, key="k1")).images == page(0, 1).images
    assert cursor.ended is False
    assert advance(cursor, page(2, 3, 1, key="k2")).images == page(2).images
    assert cursor.ended is True


def test_since_may_be_in_another_zone() -> None:
    """Moments are compared, not their digits."""
    tokyo = timezone(timedelta(hours=9))
    cursor = Cursor(since=(NOON - timedelta(hours=1)).astimezone(tokyo))

    assert len(advance(cursor, page(0, 1, 2, key="k1")).images) == 2


def test_an_undated_image_does_not_stop_the_walk() -> None:
    """An image without a readable date cannot be older than anything."""
    cursor = Cursor(since=NOON - timedelta(hours=2))

    assert len(advance(cursor, page(None, 1, None, key="k1")).images) == 3
    assert cursor.ended is False


def test_the_limit_counts_over_pages() -> None:
    """No more images than the limit are yielded, and the last ends the iteration."""
    cursor = Cursor(left=3)

    assert len(advance(cursor, page(0, 1, key="k1")).images) == 2
    assert (cursor.left, cursor.ended) == (1, False)
    assert advance(cursor, page(2, 3, key="k2")).images == page(2).images
    assert (cursor.left, cursor.ended) == (0, True)


def test_a_limit_beyond_the_end_is_no_error() -> None:
    """The last page ends the iteration before the limit is reached."""
    cursor = Cursor(left=10)
    advance(cursor, page(0))

    assert (cursor.left, cursor.ended) == (9, True)


def test_a_limit_of_none_at_all_asks_for_nothing() -> None:
    """With a limit of 0 the iteration ends before the first page."""
    assert Cursor(left=0).ended is True
    assert Cursor(left=1).ended is False


def test_limit_and_since_work_together() -> None:
    """Images that are too old do not count towards the limit."""
    cursor = Cursor(since=NOON - timedelta(hours=1), left=5)

    assert len(advance(cursor, page(0, 1, 2, key="k1")).images) == 2
    assert (cursor.left, cursor.ended) == (3, True)
