"""Names from a server are made safe names of files."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._filenames import PNG_SIGNATURE, extension, safe_stem

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (
            "4d82d040-4394-4371-867d-72ae1dd62b6d",
            "4d82d040-4394-4371-867d-72ae1dd62b6d",
        ),
        ("a fox, in the snow", "a_fox_in_the_snow"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/absolute", "absolute"),
        ("C:\\Windows", "C_Windows"),
        ("a/../b", "a_.._b"),
        (".hidden", "hidden"),
        ("trailing. . .", "trailing"),
        ("a\x00b", "a_b"),
        ("a\nb\x1b[31m", "a_b_31m"),
        ("CON", "_CON"),
        ("con", "_con"),
        ("Con ", "_Con"),
        ("NUL.txt", "_NUL.txt"),
        ("COM0", "_COM0"),
        ("lpt9.tar.gz", "_lpt9.tar.gz"),
        ("CONSOLE", "CONSOLE"),
        ("🦊", "image"),
        ("fox🦊", "fox"),
        ("", "image"),
        (".", "image"),
        ("..", "image"),
        ("   ", "image"),
        ("___", "image"),
        ("\ud800", "image"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_hostile_name_becomes_a_plain_one(name: str, stem: str) -> None:
    """Separators, controls, reserved names, dots and length are dealt with."""
    made = safe_stem(name)
    assert made == (name if stem == name else f"{stem}-{made[-8:]}")


def test_changed_names_stay_different() -> None:
    """Two names that are cleaned to the same text do not become one file."""
    names = ["../a", "./a", "a", "a/", "🦊", "🐻", "", "x" * 300, "x" * 301, "CON"]
    assert len({safe_stem(name).lower() for name in names}) == len(names)


@unhurried
@given(st.text())
def test_no_name_leaves_its_folder(name: str) -> None:
    """A stem is never empty, long, hidden or anything but letters, digits and ._-."""
    stem = safe_stem(name)

    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,109}", stem)
    assert stem.split(".")[0].upper() not in {"CON", "NUL", "COM1", "LPT1"}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", ".png"),
        ("image/jpeg", ".jpg"),
        ("image/webp", ".webp"),
        ("image/gif", ".gif"),
        ("image/avif", ".avif"),
        ("IMAGE/PNG; charset=binary", ".png"),
        (" image/jpeg ;q=1", ".jpg"),
    ],
)
def test_the_content_type_names_the_extension(content_type: str, expected: str) -> None:
    """Case, blanks and parameters do not matter."""
    assert extension(content_type, beginning=b"") == expected


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "binary/octet-stream", "", "image/x"]
)
@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (PNG_SIGNATURE + b"rest", ".png"),
        (b"\xff\xd8\xff\xe0rest", ".jpg"),
        (b"GIF89a", ".gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", ".webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"<!DOCTYPE html>", None),
        (b"\x89PNG", None),
        (b"", None),
    ],
)
def test_the_first_bytes_decide_where_no_image_is_named(
    content_type: str, beginning: bytes, expected: str | None
) -> None:
    """A server that names no image is judged by what it sends."""
    assert extension(content_type, beginning=beginning) == expected
