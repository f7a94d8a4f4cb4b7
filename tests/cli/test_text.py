"""Text for people."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pictory_async import GeneratedImage
from pictory_async.cli._text import cost, count, credits_of, one_line, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\nd", "a b c d"),
        ("\x1b[31mred\x07\x9b", "[31mred"),
        ("a\u2028b\u202ec", "a bc"),
        ("\udcff", "\ufffd"),
        ("👩\u200d🚀 [b]", "👩\u200d🚀 [b]"),
    ],
)
def test_one_line(text, shown) -> None:
    """Text becomes one harmless line, and otherwise stays as it was."""
    assert one_line(text) == shown


@pytest.mark.parametrize("length", [11, 39, 40, 41, 1000])
def test_one_line_cuts(length) -> None:
    """Text longer than its limit ends in an ellipsis."""
    assert one_line("x" * length, limit=10) == "x" * 9 + "…"
    assert one_line("x" * 10, limit=10) == "x" * 10


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1 image"),
        (0, "0 images"),
        (Decimal("0.60"), "0.6 images"),
        (Decimal(20), "20 images"),
        (1000, "1,000 images"),
        (Decimal("1234.5"), "1,234.5 images"),
    ],
)
def test_count(number, text) -> None:
    """Nouns agree with their number, which has no trailing zeros."""
    assert count(number, "image") == text


def test_what_the_service_did_not_say_is_empty() -> None:
    """None is never written out."""
    image = GeneratedImage(job_id="a", url="https://example.com/a.png")

    assert (size(image), credits_of(image)) == ("", "")


def test_cost_is_a_lower_bound_if_amounts_are_missing() -> None:
    """A total does not claim more than is known."""
    assert cost(Decimal(2), exact=True) == "2 credits"
    assert cost(Decimal(2), exact=False) == "at least 2 credits"
