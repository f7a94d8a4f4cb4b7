"""The counts of a batch, and the bar that shows them."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from pictory_async import (
    BatchOutcome,
    BatchProgress,
    GeneratedImage,
    JobFailedError,
    PictorySession,
    SubmissionUnknownError,
)
from pictory_async._batch.budget import Reservations
from pictory_async._batch.progress import Counts, Display
from pictory_async.sandbox import Sandbox

pytestmark = pytest.mark.looptime


def test_each_event_is_counted_once_and_shown() -> None:
    """Completed, failed and unknown add up to the outcomes."""
    credits_, seen = Reservations(), list[BatchProgress]()
    credits_.used, credits_.kept = Decimal("0.6"), Decimal(2)
    counts = Counts(credits_=credits_, display=Display(seen.append), total=3)
    image = GeneratedImage(job_id="j1", url="https://images.example/a.png")
    counts.accepted()
    counts.ended(BatchOutcome(index=0, image=image))
    counts.ended(BatchOutcome(index=1, error=JobFailedError()))
    counts.ended(BatchOutcome(index=2, error=SubmissionUnknownError()))
    assert [now.ended for now in seen] == [0, 1, 2, 3]
    assert seen[-1] == counts.progress
    assert counts.progress == BatchProgress(
        total=3,
        submitted=1,
        completed=1,
        failed=1,
        unknown=1,
        credits_used=Decimal("0.6"),
        credits_reserved=Decimal(2),
    )


async def test_bar_counts_to_the_end(
    session: PictorySession, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a terminal it is text on standard error."""
    sandbox.fail_next()
    prompts = [f"Picture number {number}" for number in range(3)]
    await session.generate_many(prompts, progress=True).results()
    drawn = capsys.readouterr().err
    assert "3/3" in drawn
    assert "failed=1" in drawn
    assert "credits=4" in drawn


async def test_bar_without_a_total(
    session: PictorySession, capsys: pytest.CaptureFixture[str]
) -> None:
    """An endless source has none; the bar learns it at the end."""
    await session.generate_many(iter(["Picture by night"]), progress=True).results()
    assert "1/1" in capsys.readouterr().err


async def test_bar_of_a_batch_that_never_began(session: PictorySession) -> None:
    """There is nothing to close."""
    batch = session.generate_many(["Picture by night"], progress=True)
    await batch.aclose()
    assert batch.progress == BatchProgress(total=1)


def test_missing_tqdm_names_the_extra() -> None:
    """The error comes from the call, before anything is sent."""
    code = (
        "import sys; sys.modules['tqdm'] = None\n"
        "from pictory_async import PictorySession\n"
        "session = PictorySession('pictai_fake')\n"
        "try: session.generate_many(['A fox'], progress=True)\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'pictory-async[progress]'" in run.stdout
