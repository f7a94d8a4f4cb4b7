"""What comes out of a batch: outcomes, and how far it is."""

from decimal import Decimal
from pathlib import Path
from typing import Self, SupportsIndex, overload

import attrs

from pictory_async._batch.budget import Budget
from pictory_async._core import html
from pictory_async._core.errors import PictoryError
from pictory_async._core.models import GeneratedImage, ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """What became of one prompt of a batch.

    Attributes:
        index: The place of the prompt, from 0.
        request: What was asked for; None if the prompt could not be asked for.
        job_id: The job; None if there is none, or if it is not known.
        image: The picture; None if there is none. One that `reconcile` found has no
            *job_id* and no *credits_used*.
        error: Why there is no picture, or no file: a `DownloadError` stands beside
            the image that it could not save.
        path: The file, if the batch saves its images.
    """

    index: int
    request: ImageRequest | None = None
    job_id: str | None = None
    image: GeneratedImage | None = None
    error: PictoryError | None = None
    path: Path | None = None

    def unwrap(self) -> GeneratedImage:
        """Return the image.

        Raises:
            PictoryError: The outcome's error, also one of the download.
        """
        if self.error is not None:
            raise self.error
        assert self.image is not None  # noqa: S101 - without an error there is one
        return self.image

    def _repr_html_(self) -> str:
        return html.page(html.figure(self._tile()))

    def _tile(self) -> html.Tile:
        place = f"#{self.index}"
        if self.image is None:
            prompt = self.request.prompt if self.request else None
            return html.Tile(prompt=prompt, facts=(place,), error=self.error)
        tile = self.image._tile(self.path.name if self.path else None)
        return tile._replace(facts=(place, *tile.facts), error=self.error)


class BatchResults(list[BatchOutcome]):
    """All outcomes of a batch: a list that notebooks show as a gallery."""

    @overload
    def __getitem__(self, place: SupportsIndex) -> BatchOutcome: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: SupportsIndex | slice) -> BatchOutcome | Self:
        if isinstance(place, slice):  # to look at the next hundred
            return type(self)(super().__getitem__(place))
        return super().__getitem__(place)

    def _repr_html_(self) -> str:
        errors = [outcome.error for outcome in self if outcome.error is not None]
        unknown = sum(isinstance(error, SubmissionUnknownError) for error in errors)
        used = [outcome.image.credits_used for outcome in self if outcome.image]
        heading = html.line(
            html.count(len(self), "prompt"),
            f"{len(self) - len(errors):,} completed",
            html.if_any(len(errors) - unknown, "failed"),
            html.if_any(unknown, "unknown"),
            html.credit_amount(sum((one for one in used if one), Decimal(0))),
        )
        tiles = (outcome._tile() for outcome in self)
        hint = f" [{html.MOST_PICTURES}:] of the list shows the next."
        grid = html.gallery(tiles, total=len(self), hint=hint)
        return html.page(html.paragraph(heading), grid)


@attrs.frozen(kw_only=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        total: How many prompts there are; None while that is not known.
        submitted: Prompts that the service has accepted a job for.
        completed: Outcomes without an error.
        failed: Outcomes with an error, but for the unknown ones.
        unknown: Outcomes with a `SubmissionUnknownError`.
        credits_used: AI credits of images, as the service told them or else by the
            price list.
        credits_reserved: AI credits of jobs that may still be charged.

    What a journal has from earlier runs is counted as well: credits at once, prompts
    when it is their turn.
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
        """How many prompts have their outcome."""
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


@attrs.define(eq=False)
class Tally:
    """Counts what `BatchProgress` shows."""

    budget: Budget
    total: int | None = None
    submitted: int = 0
    completed: int = 0
    failed: int = 0
    unknown: int = 0

    def count(self, outcome: BatchOutcome) -> None:
        """Count one outcome."""
        if outcome.error is None:
            self.completed += 1
        elif isinstance(outcome.error, SubmissionUnknownError):
            self.unknown += 1
        else:
            self.failed += 1

    @property
    def progress(self) -> BatchProgress:
        """A picture of this moment."""
        return BatchProgress(
            total=self.total,
            submitted=self.submitted,
            completed=self.completed,
            failed=self.failed,
            unknown=self.unknown,
            credits_used=self.budget.used,
            credits_reserved=self.budget.reserved,
        )
