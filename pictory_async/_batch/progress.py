"""How far a batch is: its counts, and showing them in a bar or by a function."""

# Annotations are not postponed: frameworks read those of the public class at run time.
import importlib
import importlib.util
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import attrs
from anyio import to_thread

from pictory_async._batch.budget import Reservations
from pictory_async._batch.outcomes import BatchOutcome
from pictory_async._core import html
from pictory_async._core.log import log_broken
from pictory_async._core.unknown import SubmissionUnknownError


@attrs.frozen(kw_only=True)
class BatchProgress:
    """A snapshot of how far a batch is.

    Attributes:
        total: The number of prompts; None while it is not known.
        submitted: Prompts that the service has accepted a job for.
        completed: Outcomes without an error.
        failed: Outcomes with an error, without those that are unknown.
        unknown: Outcomes with a `SubmissionUnknownError`.
        credits_used: AI credits of images, as the service states them or else by the
            price list.
        credits_reserved: AI credits of jobs that may still be charged.

    Earlier runs on the same journal are included: their credits from the start, their
    prompts as each has its turn.
    """

    total: int | None = None
    submitted: int = 0
    completed: int = 0
    failed: int = 0
    unknown: int = 0
    credits_used: Decimal = Decimal(0)
    credits_reserved: Decimal = Decimal(0)

    @property
    def ended(self) -> int:
        """The number of prompts that have their outcome."""
        return self.completed + self.failed + self.unknown

    def _repr_html_(self) -> str:
        total = "?" if self.total is None else f"{self.total:,}"
        reserved = self.credits_reserved
        words = html.line(
            f"{self.ended:,} of {total}",
            f"{self.completed:,} completed",
            html.if_any(self.failed, "failed"),
            html.if_any(self.unknown, "unknown"),
            f"{html.credit_amount(self.credits_used)} used",
            f"{html.plain(reserved)} reserved" if reserved else "",
        )
        bar = html.bar(self.ended, self.total) if self.total else ""
        return html.page(bar, html.paragraph(words))


Progress: TypeAlias = bool | Callable[[BatchProgress], object]


class Display:
    """Shows progress as the caller asked; its mistakes do not harm the batch."""

    def __init__(self, progress: Progress) -> None:
        self._bar = Bar() if progress is True else None
        self._show: Callable[[BatchProgress], object] | None = self._bar
        if self._bar is None and callable(progress):
            self._show = progress

    async def open(self) -> None:
        """Load what the bar needs."""
        if self._bar is not None:
            await self._bar.load()

    def show(self, progress: BatchProgress) -> None:
        """Show *progress*; after a first exception, which is logged, nothing more."""
        if self._show is None:
            return
        try:
            self._show(progress)
        except Exception:  # noqa: BLE001 - logged
            log_broken("progress failed and is not shown any more")
            self._show = None

    def close(self) -> None:
        """Show nothing more; a bar stays as it is."""
        self._show = None
        if self._bar is not None:
            self._bar.close()


class Bar:
    """A bar of tqdm, in a terminal or a notebook."""

    def __init__(self) -> None:
        if importlib.util.find_spec("tqdm") is None:
            raise ImportError(
                "progress=True needs tqdm: pip install 'pictory-async[progress]'"
            )
        self._tqdm: Any = None
        self._bar: Any = None

    async def load(self) -> None:
        """Import tqdm in a thread, as that reads files."""
        self._tqdm = await to_thread.run_sync(_load_tqdm)

    def __call__(self, progress: BatchProgress) -> None:
        """Draw *progress*."""
        if self._bar is None:
            self._bar = self._tqdm(total=progress.total, unit="image")
        bar = self._bar
        bar.total = progress.total
        bar.set_postfix(_postfix(progress), refresh=False)
        if progress.ended > bar.n:
            bar.update(progress.ended - bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


class Counts:
    """The counts of a batch, from two events: a job is accepted, a prompt has ended.

    Attributes:
        credits: The credits used and reserved.
        total: The number of prompts; None while it is not known.
    """

    def __init__(
        self, *, credits_: Reservations, display: Display, total: int | None
    ) -> None:
        self.credits = credits_
        self.total = total
        self._display = display
        self._submitted = self._completed = self._failed = self._unknown = 0

    @property
    def progress(self) -> BatchProgress:
        """A snapshot of this moment."""
        return BatchProgress(
            total=self.total,
            submitted=self._submitted,
            completed=self._completed,
            failed=self._failed,
            unknown=self._unknown,
            credits_used=self.credits.used,
            credits_reserved=self.credits.reserved,
        )

    def accepted(self) -> None:
        """Count a job that the service has accepted, now or in an earlier run."""
        self._submitted += 1
        self.show()

    def ended(self, outcome: BatchOutcome) -> None:
        """Count the outcome of a prompt."""
        if outcome.error is None:
            self._completed += 1
        elif isinstance(outcome.error, SubmissionUnknownError):
            self._unknown += 1
        else:
            self._failed += 1
        self.show()

    def show(self) -> None:
        """Show the progress now, if it is displayed."""
        self._display.show(self.progress)


def _load_tqdm() -> Any:
    """Return tqdm's class, with all that it loads and makes at its first use."""
    # In a notebook without ipywidgets tqdm.auto warns, and takes this text bar itself.
    widgets = importlib.util.find_spec("ipywidgets") is not None
    module: Any = importlib.import_module("tqdm.auto" if widgets else "tqdm.std")
    module.tqdm.get_lock()
    return module.tqdm


def _postfix(progress: BatchProgress) -> dict[str, str]:
    counts = {"failed": progress.failed, "unknown": progress.unknown}
    shown = {name: str(count) for name, count in counts.items() if count}
    return shown | {"credits": str(progress.credits_used)}
