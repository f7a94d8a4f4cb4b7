"""Progress as plain lines."""

from __future__ import annotations

from decimal import Decimal

from pictory_async import GeneratedImage
from pictory_async.cli._items import Item
from pictory_async.cli._views import summary


def test_unknown_credits_are_at_least_those_known() -> None:
    """A summary does not claim more than is known."""
    url = "https://example.com/a.png"
    items = [
        Item("a", image=GeneratedImage(job_id="a", url=url, credits_used=Decimal(2))),
        Item("b", image=GeneratedImage(job_id="b", url=url)),
    ]

    assert "2 images, at least 2 credits" in summary(items)
