"""A pseudo-terminal whose other end a test holds."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

# Makes it the controlling terminal of the process, so that Ctrl-C reaches it.
_ADOPT = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_CODES = re.compile(r"\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command on a pseudo-terminal of *size* columns and rows."""

    def __init__(
        self, command: list[str], environment: dict[str, str], size: tuple[int, int]
    ) -> None:
        self._ours, theirs = pty.openpty()
        columns, rows = size
        fcntl.ioctl(
            theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0)
        )
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _ADOPT, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""

    @property
    def text(self) -> str:
        """The output so far, without control codes."""
        return _CODES.sub("", self.raw).replace("\r", "")

    def read_until(self, expected: str) -> str:
        """Read until *expected* has been written; return the text so far."""
        give_up = time.monotonic() + 15
        while expected not in self.text:
            assert self._read(give_up), f"{expected!r} is not in {self.text!r}"
        return self.text

    def press_ctrl_c(self) -> None:
        """Send what a terminal sends for Ctrl-C."""
        os.write(self._ours, b"\x03")

    def hang_up(self) -> None:
        """Close this end, as when a window is closed."""
        os.close(self._ours)
        self._ours = -1

    def wait(self) -> int:
        """Read to the end; return the exit code."""
        give_up = time.monotonic() + 15
        while self._ours >= 0 and self._read(give_up):
            pass
        return self._process.wait(timeout=15)

    def close(self) -> None:
        """Kill the command if it has not ended."""
        self._process.kill()
        self._process.wait(timeout=5)
        if self._ours >= 0:
            self.hang_up()

    def _read(self, give_up: float) -> bool:
        ready, _, _ = select.select(
            [self._ours], [], [], max(0, give_up - time.monotonic())
        )
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)


class FakeTerminal(io.StringIO):
    """A stream that claims to be a terminal, for a command in this process."""

    def isatty(self) -> bool:
        """Return True."""
        return True
