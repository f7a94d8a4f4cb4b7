"""Files that are there as a whole."""

from __future__ import annotations

import pytest

from pictory_async.cli._replace import replacing


def test_a_file_appears_when_it_is_complete(tmp_path) -> None:
    """Not before, and nothing else stays."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"

    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"new"


def test_a_failure_leaves_what_was_there(tmp_path) -> None:
    """An interruption as well."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt

    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"old"
