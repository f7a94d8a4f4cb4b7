"""Progress as plain lines."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from pictory_async import GeneratedImage, ImageRequest
from pictory_async.cli._items import Item
from pictory_async.cli._views import activity, summary, usual_seconds


def test_unknown_credits_are_at_least_those_known() -> None:
    """A summary does not claim more than is known."""
    url = "https://example.com/a.png"
    items = [
        Item("a", image=GeneratedImage(job_id="a", url=url, credits_used=Decimal(2))),
        Item("b", image=GeneratedImage(job_id="b", url=url)),
    ]

    assert "2 images, at least 2 credits" in summary(items)


@pytest.mark.looptime
async def test_a_row_says_what_it_waits_for(sandbox, session) -> None:
    """First its turn, then the service, for as long as jobs of its model took."""
    first, second, other = (
        Item("a", request=ImageRequest("A lighthouse", model=model))
        for model in (None, None, "nanobanana")
    )
    items = [first, second, other]
    assert activity(first, {}) == "queued"

    first.handle = await session.submit(first.request)
    assert activity(first, usual_seconds(items)) == "submitted"
    first.image = await first.handle
    assert activity(first, usual_seconds(items)) == "downloading"

    second.handle = await session.submit(second.request)
    other.handle = await session.submit(other.request)
    usual = usual_seconds(items)
    assert activity(second, usual) == "expected in about 20 s"
    assert activity(other, usual) == "submitted"
    await asyncio.sleep(8)
    assert activity(second, usual) == "expected in about 12 s"
    assert activity(second, {None: 300.0}) == "expected in about 5 min"
    sandbox.set_state(second.handle.job_id, "in-review")
    second.handle.poll_now()
    await asyncio.sleep(4)
    assert activity(second, usual) == "in review"


@pytest.mark.looptime
async def test_a_late_job_is_expected_soon(sandbox, session) -> None:
    """And of a job that was started elsewhere only its state is known."""
    item = Item("a", request=ImageRequest("A lighthouse"))
    item.handle = await session.submit(item.request)
    elsewhere = Item(item.handle.job_id, handle=item.handle)

    assert activity(item, {None: 0.5}) == "expected soon"
    assert activity(elsewhere, {None: 9.0}) == "in progress"
