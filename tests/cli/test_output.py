"""Lines of JSON, and files that are complete."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from pictory_async.cli._output import LineWriter, replace_file


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2", "2"),
        ("0.6", "0.6"),
        ("0.1000000000000000000001", '"0.1000000000000000000001"'),
    ],
)
def test_json_loses_nothing(value, written) -> None:
    """A decimal is written as a number where that is exact."""
    stream = io.StringIO()
    LineWriter(stream).write_json({"a": Decimal(value)})

    assert stream.getvalue() == f'{{"a": {written}}}\n'


def test_json_refuses_what_it_cannot_write() -> None:
    """A bug is not hidden."""
    with pytest.raises(TypeError):
        LineWriter(io.StringIO()).write_json({"a": object()})


def test_a_file_appears_when_it_is_complete(tmp_path) -> None:
    """The old file stays until then, and no other file is left."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    with replace_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"

    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"new"


def test_a_failure_leaves_what_was_there(tmp_path) -> None:
    """An interruption leaves the old file and nothing else."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt), replace_file(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt

    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_bytes() == b"old"
