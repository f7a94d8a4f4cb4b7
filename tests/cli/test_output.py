"""Lines of JSON, and files that are complete."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest

from pictory_async.cli._output import LineWriter, SafeStream, replace_file


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


def test_json_is_readable_in_every_script() -> None:
    """Letters are written as they are; what could harm a terminal is escaped."""
    stream = io.StringIO()
    text = "Ein Mädchen \u2013 \u5bcc\u58eb\u5c71 \U0001f468\u200d\U0001f469"

    LineWriter(stream).write_json({"a": text, "b": "\x1b\x7f\x9b\u202e\u2028\udc80"})

    assert text in stream.getvalue()
    assert r'"b": "\u001b\u007f\u009b\u202e\u2028\udc80"' in stream.getvalue()
    assert json.loads(stream.getvalue())["a"] == text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_json_is_ascii_where_letters_could_be_lost(encoding) -> None:
    """Another encoding than a Unicode one gets escapes, which lose nothing."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, errors="replace")

    LineWriter(stream).write_json({"a": "M\xe4dchen \u5bcc"})

    assert raw.getvalue() == b'{"a": "M\\u00e4dchen \\u5bcc"}\n'


def test_a_stream_takes_text_only() -> None:
    """Bytes are refused, which is how click finds out that it is no binary file."""
    with pytest.raises(TypeError):
        SafeStream(None).write(b"")  # type: ignore[arg-type]


def test_a_stream_that_is_not_there_has_no_number() -> None:
    """As the library of the interpreter says it."""
    with pytest.raises(OSError, match="no stream"):
        SafeStream(None).fileno()


def test_lines_go_elsewhere_once_a_stream_has_failed() -> None:
    """A stream that was never there gives nothing away."""
    stream, other = io.StringIO(), io.StringIO()
    instead = LineWriter(other)
    writer = LineWriter(stream, instead=instead)
    writer.write("one")
    stream.close()
    writer.write("two")
    writer.write("three")
    LineWriter(SafeStream(None), instead=instead).write("four")

    note, *lines = other.getvalue().splitlines()
    assert note.startswith("note: standard output cannot be written (I/O operation")
    assert lines == ["two", "three"]
    assert writer.closed
    assert writer.failed
