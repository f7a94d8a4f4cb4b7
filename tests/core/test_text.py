"""What is shown is short, on one line, and keeps private what is private."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._core.text import (
    SHOWN_CHARACTERS,
    is_web_url,
    shorten,
    shown_prompt,
    shown_url,
    without_query,
)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("short", "short"),
        ("two\r\nlines\tand  a tab", "two lines and a tab"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("x" + " " * 300 + "y", "x…"),
        (" " * 300, "…"),
    ],
)
def test_text_is_put_on_one_line_and_cut(text: str, expected: str) -> None:
    """Text of at most 60 characters is shown whole, longer text with an ellipsis."""
    assert shorten(text) == expected


def test_the_limit_can_be_chosen() -> None:
    """The ellipsis counts among the characters allowed."""
    assert shorten("abcdef", limit=5) == "abcd…"


@unhurried
@given(st.text(max_size=400), st.integers(1, 100))
def test_shortened_text_never_exceeds_the_limit(text: str, limit: int) -> None:
    """No text comes out longer than the limit or with a line break in it."""
    shown = shorten(text, limit=limit)

    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://cdn.example/a.png", "https://cdn.example/a.png"),
        ("https://cdn.example/a.png?Signature=s3cret#top", "https://cdn.example/a.png"),
        ("https://user:s3cret@cdn.example:8443/a", "https://cdn.example:8443/a"),
        ("https://cdn.example?token=s3cret", "https://cdn.example"),
        ("a.png?token=s3cret", "a.png"),
        ("", ""),
        ("https://[::1/a?token=s3cret", "<unreadable URL>"),
        ("https://cdn.example/" + "a" * 300, "https://cdn.example/" + "a" * 179 + "…"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, expected: str) -> None:
    """User, query and fragment are left out, and a long path is cut."""
    assert without_query(url) == expected
    assert shown_url(url) == repr(expected)


def test_a_missing_url_is_shown_as_none() -> None:
    """What is no text is shown as it is."""
    assert shown_url(None) == "None"


def test_prompts_are_shown_cut() -> None:
    """A prompt's representation holds its first 60 characters at most."""
    assert shown_prompt("a fox") == "'a fox'"
    assert shown_prompt("x" * 100) == repr("x" * (SHOWN_CHARACTERS - 1) + "…")
    assert shown_prompt(None) == "None"


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example",
        "https://cdn.example/a%20b.png?x=1#y",
        "HTTPS://CDN.EXAMPLE/",
        "https://user:pw@cdn.example:8443/",
        "http://[::1]:8080/a",
        "http://127.0.0.1:1",
        "https://cdn.example:65535/",
        "https://bücher.example/ü",
    ],
)
def test_absolute_http_urls_are_accepted(url: str) -> None:
    """An absolute http or https URL with a host can be fetched."""
    assert is_web_url(url) is True


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        b"https://cdn.example",
        "",
        "cdn.example/a.png",
        "/a.png",
        "//cdn.example/a.png",
        "https:",
        "https:a.png",
        "https:///a.png",
        "https://",
        "https://:443/",
        "https://user@/",
        "ftp://cdn.example/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "https://cdn.example:0/",
        "https://cdn.example:65536/",
        "https://cdn.example:port/",
        "https://[::1/",
        "https://a℀b.example/",
        " https://cdn.example",
        "https://cdn.example/\n",
        "https://cdn.example/a b",
        "https://cdn.example/\u00a0",
        "https://cdn.example/\x00",
        "https://cdn.example/\x7f",
        "https://cdn.example/\ud800",
    ],
)
def test_everything_else_is_refused(url: object) -> None:
    """Other schemes, no host, bad ports, blanks, controls and surrogates are bad."""
    assert is_web_url(url) is False


@unhurried
@given(st.text(st.characters(), max_size=50))
def test_any_text_can_be_judged(text: str) -> None:
    """No text makes the check raise, and what it accepts can be encoded."""
    if is_web_url("https://" + text):
        ("https://" + text).encode()
