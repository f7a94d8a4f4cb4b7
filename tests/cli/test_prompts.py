"""The text that prompts are read from."""

from __future__ import annotations

import codecs
import io

import pytest

from pictory_async.cli._errors import Misuse
from pictory_async.cli._prompts import control_problem, read_prompts, text_problem


def read(data: bytes) -> list[str]:
    """Read the prompts of a file in memory."""
    return list(read_prompts(io.BytesIO(data), "p.txt"))


def test_a_byte_order_mark_is_no_part_of_a_prompt() -> None:
    """Blank lines are skipped, and any line ending will do."""
    data = codecs.BOM_UTF8 + b"A lighthouse\r\n\n  A caf\xc3\xa9\rA cat"

    assert read(data) == ["A lighthouse", "A café", "A cat"]


@pytest.mark.parametrize("data", [b"", codecs.BOM_UTF8, b"\n", b"A b"])
def test_a_text_may_be_shorter_than_any_mark(data) -> None:
    """There is nothing to be told from so few bytes."""
    assert read(data) == ([data.decode()] if data.isascii() and data.strip() else [])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("A cat".encode("utf-16"), "p.txt: is UTF-16 text; save it as UTF-8"),
        (codecs.BOM_UTF16_BE + b"\0A", "p.txt: is UTF-16 text"),
        ("A cat".encode("utf-32"), "p.txt: is UTF-32 text"),
        ("A cat\nA dog".encode("utf-16-le"), "p.txt:1: has NUL .* it is UTF-16"),
        ("A cat\nA dog".encode("utf-16-be"), "p.txt:1: has NUL .* it is UTF-16"),
        (b"A cat\nA caf\xe9\n", "p.txt:2: is not UTF-8 .* it is Windows-1252: save"),
        (b"\n\nA \x81\x8d cat", "p.txt:3: is not UTF-8 .* in an older encoding"),
        (b"A cat\nA \x1b[2J cat\n", r"p.txt:2: has the control character U\+001B"),
        (b"A cat\x7f", r"U\+007F"),
    ],
)
def test_text_that_is_no_prompt_names_its_line_and_likely_encoding(
    data, expected
) -> None:
    """Nothing of such a file is sent."""
    with pytest.raises(Misuse, match=expected):
        read(data)


@pytest.mark.parametrize("text", ["A\tcat", "A cat\r\n", "Ein Café \u200d\u2028", ""])
def test_tabs_line_ends_and_all_of_unicode_are_text(text) -> None:
    """Joiners of emoji and of scripts are no control characters."""
    assert text_problem(text) is None


@pytest.mark.parametrize("code", [*range(9), 11, 12, *range(14, 32), 127])
def test_every_other_control_character_is_refused(code) -> None:
    """The message names it."""
    assert f"U+{code:04X}" in str(control_problem(f"A cat{chr(code)}"))
