"""Progress as plain lines, one for each event: for pipes and scripts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from pictory_async import JobState, SessionClosedError, SubmissionUnknownError
from pictory_async.cli._errors import explain
from pictory_async.cli._items import Item, View, credits_used
from pictory_async.cli._output import LineWriter
from pictory_async.cli._text import count, one_line, short_time, summary_line

# Characters of a prompt in a line that is about something else.
PROMPT_SHOWN: Final = 60

PATIENCE: Final = (
    "Waiting up to 5 seconds for answers to prompts just sent; press Ctrl-C again to "
    "stop at once."
)


class LineView(View[Item]):
    """A view of lines without control codes, one for each event.

    Args:
        record: Writes an item that has ended, in the format of the command.
        err: Where failures and the summary go.
        accepted: Writes that an item has its job; None writes nothing.
    """

    def __init__(
        self,
        record: Callable[[Item], None],
        err: LineWriter,
        *,
        accepted: Callable[[Item], None] | None = None,
    ) -> None:
        self._record = record
        self._err = err
        self._accepted = accepted

    def accepted(self, item: Item) -> None:
        """Write that an item has its job."""
        if self._accepted:
            self._accepted(item)

    def ended(self, item: Item) -> None:
        """Write how an item ended."""
        self._record(item)
        if is_news(item.error):
            self._err.write(failure(item))

    def summarize(self, lines: Iterable[str]) -> None:
        """Write the summary."""
        for line in lines:
            self._err.write(line)


def usual_seconds(items: Sequence[Item]) -> dict[str | None, float]:
    """Return how long the jobs of each model took that have given their images."""
    taken: dict[str | None, list[float]] = {}
    for item in items:
        if item.image and item.handle and item.request:
            seconds = item.handle.status.elapsed
            taken.setdefault(item.request.model, []).append(seconds)
    return {model: median(seconds) for model, seconds in taken.items()}


def activity(item: Item, usual: Mapping[str | None, float]) -> str:
    """Return what an item in progress waits for.

    Args:
        item: Not ended yet.
        usual: What `usual_seconds` returns.
    """
    if item.handle is None:
        return "queued"
    if item.image is not None:
        return "downloading"
    # Of a job that was started elsewhere only the service's word is known.
    if item.request is None or item.state != JobState.IN_PROGRESS:
        return (item.state or "").replace("-", " ")
    seconds = usual.get(item.request.model)
    if seconds is None:
        return "submitted"
    left = seconds - item.handle.status.elapsed
    return f"expected in about {short_time(left)}" if left >= 1 else "expected soon"


def is_news(error: Exception | None) -> bool:
    """Return whether to report an error by itself: not that of an interruption."""
    return error is not None and not isinstance(error, SessionClosedError)


def failure(item: Item) -> str:
    """Return the line that says which item failed, and why."""
    if item.prompt is None:
        return f"failed: {reason(item)}"
    return f"failed: {one_line(item.prompt, limit=PROMPT_SHOWN)}: {reason(item)}"


def reason(item: Item) -> str:
    """Return why an item failed and, if its image only was not saved, the remedy."""
    assert item.error is not None  # noqa: S101 - it failed
    why = explain(item.error)
    if item.image is None or isinstance(item.error, FileExistsError):
        return why
    return f"{why}; to try again: pictory job {one_line(item.job_id)} --output DIR"


def summary(items: Sequence[Item]) -> str:
    """Return a line with images, credits, failures and seconds."""
    used, exact = credits_used(items)
    return summary_line(
        images=sum(item.image is not None for item in items),
        credits_used=used,
        exact=exact,
        failed=sum(item.error is not None for item in items),
        seconds=max(item.seconds for item in items),
    )


class InterruptReport:
    """A report of what an interruption left behind, and how to continue.

    Called when the interruption comes, and once more when the requests that were on
    the wire have been answered.

    Args:
        err: Where to write it.
        folder: Where images are saved, if anywhere.
        proxy: The proxy that the command was given.
        jobs_end: Whether the jobs end with this command, as those of its sandbox do.
    """

    def __init__(
        self,
        err: LineWriter,
        *,
        folder: Path | None,
        proxy: str | None,
        jobs_end: bool = False,
    ) -> None:
        self._err = err
        self._folder = folder
        self._proxy = proxy
        self._jobs_end = jobs_end
        self._reported: list[str] | None = None  # ids of jobs; None before the first

    def __call__(self, items: Sequence[Item]) -> None:
        """Write what is new since the last call."""
        first = self._reported is None
        if first:
            also = " The jobs end with their sandbox." if self._jobs_end else ""
            self._err.write(f"Interrupted.{also}")
        if not self._jobs_end:
            self._report_jobs([item for item in items if item.resumable])
        self._reported = self._reported or []
        if not first:
            self._report_rest(items)
        elif any(item.handle is None and item.error is None for item in items):
            self._err.write(PATIENCE)

    def _report_jobs(self, items: Sequence[Item]) -> None:
        known = self._reported or []
        new = [item for item in items if item.job_id and item.job_id not in known]
        for item in new:
            prompt = one_line(item.prompt, limit=PROMPT_SHOWN) if item.prompt else ""
            state = "not saved yet" if item.image else "still in progress"
            self._err.write(f"{state}: {one_line(item.job_id)}  {prompt}".rstrip())
        self._reported = known + [str(item.job_id) for item in new]
        if new:
            self._err.write(f"Continue with: {self._command(self._reported)}")

    def _command(self, job_ids: Sequence[str]) -> str:
        words = ["pictory", "job", *map(one_line, job_ids), "--wait"]
        if self._folder is not None:
            words += ["--output", str(self._folder)]
        if self._proxy is not None:
            words += ["--proxy", one_line(self._proxy)]
        return shlex.join(words)

    def _report_rest(self, items: Sequence[Item]) -> None:
        unsent = sum(
            isinstance(item.error, SessionClosedError) and item.handle is None
            for item in items
        )
        if unsent:
            self._err.write(f"Not sent, nothing created: {count(unsent, 'prompt')}.")
        if any(isinstance(item.error, SubmissionUnknownError) for item in items):
            self._err.write("Check `pictory history` before repeating a prompt.")
