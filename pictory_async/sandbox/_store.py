"""The file in which a sandbox keeps its jobs from one process to the next.

Each line is a JSON object: the first says who the account is and where the sandbox
listened, each other one is a job as it was. Of several lines for a job the last one
counts, so that a line is added for each change and a kill loses none of those before.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from pictory_async.sandbox._state import Failure, Job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pictory_async.sandbox._replies import Site


class Store:
    """The file. It is read and written in threads, so that no request waits for others.

    Attributes:
        owner: The id of the account; None if the file is new.
        port: Where the sandbox listened the last time; 0 if the file is new.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: list[dict[str, Any]] = []
        self._start = ""  # what the file begins with, until it is written
        self._new: list[str] = []  # lines
        self._writing = asyncio.Lock()
        self.owner: str | None = None
        self.port = 0

    async def load(self) -> None:
        """Read the file, if there is one.

        Raises:
            OSError: It cannot be read.
            ValueError: It is another kind of file.
        """
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
        except FileNotFoundError:
            return
        # The last line is cut if the process was killed while it was written.
        *lines, _ = data.split(b"\n")
        try:
            self._read(lines)
        except (ValueError, KeyError, TypeError) as exc:
            msg = f"{self._path} is not the state of a sandbox"
            raise ValueError(msg) from exc

    def jobs(self, site: Site) -> list[Job]:
        """Return the jobs of the file, in the order of acceptance."""
        return [_job(saved, site) for saved in self._jobs]

    def begin(self, owner: str, port: int, jobs: Iterable[Job], site: Site) -> None:
        """Have the file begin anew with these jobs, once there is one more.

        Until then it is left alone: another process may be using it.
        """
        first = json.dumps({"owner": owner, "port": port})
        self._start = "".join((f"{first}\n", *(_line(job, site) for job in jobs)))

    def add(self, job: Job, site: Site) -> None:
        """Have a job added as it is now."""
        self._new.append(_line(job, site))

    async def flush(self) -> None:
        """Write what is new; no file is made without a job.

        Raises:
            OSError: The file cannot be written; it is tried again the next time.
        """
        async with self._writing:
            if not self._new:
                return
            start, self._start = self._start, ""
            text, self._new = "".join(self._new), []
            try:
                await asyncio.to_thread(self._write, start, text)
            except OSError:
                # The line end closes a line of which only a part could be written.
                self._start, self._new = start, [f"\n{text}", *self._new]
                raise

    def _write(self, start: str, text: str) -> None:
        if not start:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
            return
        part = self._path.with_name(f".{self._path.name}.part")
        part.write_text(start + text, encoding="utf-8")
        part.replace(self._path)

    def _read(self, lines: list[bytes]) -> None:
        if lines:
            first = json.loads(lines[0])
            self.owner, self.port = str(first["owner"]), int(first["port"])
            jobs = filter(None, map(_whole, lines[1:]))
            self._jobs = list({job["job_id"]: job for job in jobs}.values())


def _whole(line: bytes) -> dict[str, Any] | None:
    """Return the job of a line; None if the line was cut by a disk that was full."""
    try:
        job: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return job


def _line(job: Job, site: Site) -> str:
    failure = job.failure and [job.failure.code, job.failure.message]
    saved = {
        "job_id": job.job_id,
        "image_id": job.image_id,
        "request": dict(job.request),
        "submitted_at": site.timestamp(job.submitted_at),
        "due_at": site.timestamp(job.due_at),
        "failure": failure,
        "state": job.state,
        "ended_at": None if job.ended_at is None else site.timestamp(job.ended_at),
    }
    return f"{json.dumps(saved)}\n"


def _job(saved: dict[str, Any], site: Site) -> Job:
    ended_at = saved["ended_at"]
    return Job(
        job_id=saved["job_id"],
        image_id=saved["image_id"],
        request=saved["request"],
        submitted_at=site.loop_time(saved["submitted_at"]),
        due_at=site.loop_time(saved["due_at"]),
        failure=Failure(*saved["failure"]) if saved["failure"] else None,
        state=saved["state"],
        ended_at=None if ended_at is None else site.loop_time(ended_at),
    )
