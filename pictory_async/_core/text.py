"""Text that is safe to show: short, on one line, without private parts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

SHOWN_CHARACTERS = 60

# White space, control characters, and lone surrogates, which cannot be encoded.
_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")


def shorten(text: str, *, limit: int = SHOWN_CHARACTERS) -> str:
    """Return *text* on one line and cut to *limit* characters."""
    # Control characters could rewrite a terminal, bidirectional ones reorder the text.
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = " ".join(shown.split())
    whole = len(line) <= limit and len(text) <= 4 * limit
    return line if whole else line[: limit - 1] + "…"


def without_query(url: str) -> str:
    """Return *url* without user info, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<unreadable URL>"
    host = parts.netloc.rpartition("@")[2]
    return shorten(urlunsplit((parts.scheme, host, parts.path, "", "")), limit=200)


def shown_prompt(prompt: object) -> str:
    """Return the representation of a prompt, cut: prompts may be private and long."""
    return repr(shorten(prompt)) if isinstance(prompt, str) else repr(prompt)


def shown_url(url: object) -> str:
    """Return the representation of a URL without its query."""
    return repr(without_query(url)) if isinstance(url, str) else repr(url)


def is_web_url(value: object) -> bool:
    """Return whether *value* is an absolute http(s) URL that a client could fetch."""
    if not isinstance(value, str):
        return False
    if _NOT_IN_URLS.search(value):
        return False
    try:
        parts = urlsplit(value)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"} and bool(parts.hostname) and port_is_readable
    )


def is_job_id(job_id: object) -> bool:
    """Return whether *job_id* is text that can be one segment of a path."""
    return isinstance(job_id, str) and bool(job_id.strip(" .")) and job_id.isprintable()
