"""Settings: where they come from, and which are refused."""

from __future__ import annotations

import pytest
from yarl import URL

from pictory_async._core.errors import ConfigurationError
from pictory_async._settings import (
    DEFAULT_BASE_URL,
    ApiKey,
    find_api_key,
    find_base_url,
)

KEY = "pictai_s3cret"


def test_a_given_key_comes_before_the_environments() -> None:
    """The argument wins over $PICTORY_API_KEY."""
    assert find_api_key(KEY, {"PICTORY_API_KEY": "pictai_other"}) == KEY
    assert find_api_key(None, {"PICTORY_API_KEY": KEY}) == KEY


def test_a_key_does_not_show_in_a_representation() -> None:
    """A container that is logged hides the key, which stays usable as text."""
    key = find_api_key(KEY, {})

    assert type(key) is ApiKey
    assert repr({"Authorization": key}) == "{'Authorization': <API key>}"
    assert str(key) == KEY


@pytest.mark.parametrize(
    ("given", "environment"),
    [(None, {}), (None, {"PICTORY_API_KEY": ""}), ("", {"PICTORY_API_KEY": KEY})],
)
def test_no_key_is_refused_with_where_to_get_one(
    given: str | None, environment: dict[str, str]
) -> None:
    """The text names the argument, the variable and the page that shows keys."""
    with pytest.raises(ConfigurationError) as caught:
        find_api_key(given, environment)

    assert str(caught.value) == (
        "no API key: pass api_key= or set $PICTORY_API_KEY; "
        "https://app.pictory.ai/api-access shows yours"
    )


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY}\n",
        f"{KEY}\r\nX-Evil: 1",
        f" {KEY}",
        f"Bearer {KEY}",
        f"{KEY}é",
        f"{KEY}\x00",
        f"{KEY}\x7f",
        f"{KEY}\u200b",
        "   ",
    ],
)
@pytest.mark.parametrize("source", ["api_key", "$PICTORY_API_KEY"])
def test_a_key_that_cannot_be_a_header_is_refused_unseen(key: str, source: str) -> None:
    """The text says where the key came from and does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        if source == "api_key":
            find_api_key(key, {})
        else:
            find_api_key(None, {"PICTORY_API_KEY": key})

    assert str(caught.value) == (
        f"{source} must be visible ASCII characters only: no spaces, no line break, "
        "no 'Bearer' in front"
    )
    assert "s3cret" not in repr(caught.value)


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, DEFAULT_BASE_URL),
        ("", {}, DEFAULT_BASE_URL),
        (None, {"PICTORY_API_BASE_URL": ""}, DEFAULT_BASE_URL),
        (None, {"PICTORY_API_BASE_URL": "https://a.example/x/"}, "https://a.example/x"),
        (
            "https://b.example",
            {"PICTORY_API_BASE_URL": "https://a.example"},
            "https://b.example",
        ),
        ("https://b.example/x//", {}, "https://b.example/x"),
        (URL("https://b.example/x/"), {}, "https://b.example/x"),
        ("HTTPS://B.example:8443", {}, "https://b.example:8443"),
        ("http://localhost:8080/x", {}, "http://localhost:8080/x"),
        ("http://LOCALHOST", {}, "http://localhost"),
        ("http://127.0.0.1:1", {}, "http://127.0.0.1:1"),
        ("http://127.8.9.1", {}, "http://127.8.9.1"),
        ("http://[::1]:8080", {}, "http://[::1]:8080"),
    ],
)
def test_the_base_url_is_found_and_ends_without_a_slash(
    given: str | URL | None, environment: dict[str, str], expected: str
) -> None:
    """The argument comes first, then the environment, then the documented one."""
    assert str(find_base_url(given, environment)) == expected.rstrip("/")


PLAIN = (
    "base_url must be https: over plain http the API key could be read on the way "
    "(http is accepted for this machine only)"
)
PARTS = "base_url must have no user, query or fragment"
ABSOLUTE = "base_url must be an absolute https:// URL"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("http://api.pictory.ai/pictoryapis", PLAIN),
        ("http://localhost.example", PLAIN),
        ("http://0.0.0.0", PLAIN),
        ("http://10.0.0.1", PLAIN),
        ("http://128.0.0.1", PLAIN),
        ("https://a.example/?x=1", PARTS),
        ("https://a.example/#x", PARTS),
        ("https://user@a.example", PARTS),
        ("https://:pw@a.example", PARTS),
        ("ftp://a.example", ABSOLUTE),
        ("https:///x", ABSOLUTE),
        ("//a.example", ABSOLUTE),
        ("api.pictory.ai/pictoryapis", ABSOLUTE),
        ("/pictoryapis", ABSOLUTE),
        (5, ABSOLUTE),
    ],
)
def test_an_unusable_base_url_is_refused(given: str, text: str) -> None:
    """A URL that would leak the key, or is no base URL, is refused with the reason."""
    with pytest.raises(ConfigurationError) as caught:
        find_base_url(given, {})

    assert str(caught.value) == text


@pytest.mark.parametrize(
    "given", ["https://[::1", "https://a.example:port", "https://a.example:99999"]
)
def test_an_unreadable_base_url_is_refused(given: str) -> None:
    """An unreadable URL is an error without a cause that would show it."""
    with pytest.raises(
        ConfigurationError, match="base_url is not a readable URL"
    ) as caught:
        find_base_url(given, {})

    assert caught.value.__suppress_context__
