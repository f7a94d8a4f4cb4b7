"""Lines of JSON, and files that are complete."""

from __future__ import annotations

import errno
import io
import json
import os
from decimal import Decimal

import pytest

from pictory_async.cli._output import LineWriter, SafeStream, replace_file, to_json


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


def test_json_is_readable_and_harmless_to_a_terminal() -> None:
    """All of Unicode is written as it is, except for what could do harm."""
    text = "\u732b \u200d\U0001f431 e\u0301 \x1b\x7f\x9b\u202e\u2028\ud800"

    written = to_json({"a": text})

    assert written.startswith('{"a": "\u732b \u200d\U0001f431 e\u0301 \\u001b\\u007f')
    assert written.encode()
    assert json.loads(written)["a"] == text


def test_json_loses_nothing_in_another_encoding() -> None:
    """A pipe of Windows may lack most of Unicode: there it is ASCII."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", errors="replace", newline="\n")

    LineWriter(stream).write_json({"a": "\u732b \xe9"})

    assert raw.getvalue() == b'{"a": "\\u732b \\u00e9"}\n'


class Broken(io.StringIO):
    """A stream that fails when it is flushed, and counts what it is given."""

    number = errno.EIO
    writes = 0

    def write(self, text: str) -> int:
        """Count a call."""
        self.writes += 1
        return len(text)

    def flush(self) -> None:
        """Raise the error."""
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EINVAL, errno.EBADF])
def test_a_stream_that_fails_falls_silent(number) -> None:
    """The first error is kept; nothing is written any more."""
    broken = Broken()
    broken.number = number
    stream = SafeStream(broken)
    for _ in range(3):
        LineWriter(stream).write("a line")

    assert broken.writes == 1
    assert stream.closed
    assert stream.error is not None
    assert stream.error.errno == number


def test_a_reader_that_has_gone_is_no_error() -> None:
    """As `head` goes once it has what it wants."""
    broken = Broken()
    broken.number = errno.EPIPE
    stream = SafeStream(broken)

    stream.flush()

    assert stream.closed
    assert stream.error is None


def test_a_process_without_a_stream_writes_nothing() -> None:
    """A service, or a program without a console, has none."""
    stream = SafeStream(None)
    LineWriter(stream).write("a line")

    assert stream.closed
    assert not stream.isatty()
    assert (stream.error, stream.encoding) == (None, "utf-8")
    with pytest.raises(OSError, match="there is no stream"):
        stream.fileno()
