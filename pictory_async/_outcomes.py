"""What comes out of a batch: outcomes, and how far it is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import SupportsIndex, overload

import attrs

from pictory_async._budget import Budget
from pictory_async._errors import PictoryError, SubmissionUnknownError
from pictory_async._models import GeneratedImage, ImageRequest


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
        from pictory_async._html import batch_outcome  # noqa: PLC0415 - for notebooks

        return batch_outcome(self)


class BatchResults(list[BatchOutcome]):
    """All outcomes of a batch: a list that notebooks show as a gallery."""

    @overload
    def __getitem__(self, place: SupportsIndex) -> BatchOutcome: ...
    @overload
    def __getitem__(self, place: slice) -> BatchResults: ...
    def __getitem__(self, place: SupportsIndex | slice) -> BatchOutcome | BatchResults:
        if isinstance(place, slice):  # to look at the next hundred
            return BatchResults(super().__getitem__(place))
        return super().__getitem__(place)

    def _repr_html_(self) -> str:
        from pictory_async._html import batch_results  # noqa: PLC0415 - for notebooks

        return batch_results(self)


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
