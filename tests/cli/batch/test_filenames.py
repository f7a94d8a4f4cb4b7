"""Names of files in a prompt file."""

from __future__ import annotations

import pytest

from pictory_async.cli._batch.prompts import BadRow
from tests.cli.batch.test_prompts import read


def test_a_column_names_the_files() -> None:
    """An extension of an image is dropped: the bytes decide on it."""
    rows = read("prompt,filename\nA cat,cat\nA dog,dog.PNG\nA fox,v1.5 fox\n", "csv")

    assert [row.filename for row in rows] == ["cat", "dog", "v1.5 fox"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../cat", "without '/', not '../cat'"),
        ("a\\cat", "without '\\\\'"),
        ("a:cat", "without ':'"),
        (".cat", "must neither begin nor end with a dot"),
        ("..", "must neither begin nor end with a dot"),
        ("cat.", "must neither begin nor end with a dot"),
        ("CON", "device of Windows"),
        ("nul.txt", "device of Windows"),
        ("\u732b" * 67, "at most 200 bytes"),
        (".png", "must neither begin nor end with a dot"),
        ("First.png", "is the name on line 2 already"),
        ("FIRST", "is the name on line 2 already"),
        ("", "is missing, but line 2 has one"),
    ],
)
def test_a_name_that_is_not_safe_or_not_unique_is_refused(name, expected) -> None:
    """On another system it could lead elsewhere, or replace another image."""
    _, row = read(f"prompt,filename\nA cat,first\nA dog,{name}\n", "csv")

    assert isinstance(row, BadRow)
    assert row.problem.startswith("filename: ")
    assert expected in row.problem


def test_equal_names_are_found_however_their_accents_are_encoded() -> None:
    """Systems disagree on whether they are the same file."""
    _, row = read("prompt,filename\nA cat,caf\u00e9\nA dog,cafe\u0301\n", "csv")

    assert "is the name on line 2 already" in row.problem


def test_all_files_are_named_or_none() -> None:
    """The number of a later line could be taken by a name."""
    _, row = read('{"prompt": "A cat"}\n{"prompt": "A dog", "filename": "a"}', "jsonl")

    assert "line 1 has none: name all files or none" in row.problem
