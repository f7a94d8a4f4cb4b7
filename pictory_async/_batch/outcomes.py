"""The outcome of each prompt of a batch."""

from decimal import Decimal
from pathlib import Path
from typing import Self, SupportsIndex, overload

import attrs

from pictory_async._core import html
from pictory_async._core.errors import PictoryError
from pictory_async._core.models import GeneratedImage, ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """The outcome of one prompt of a batch.

    Attributes:
        index: The place of the prompt, from 0.
        request: The request for the prompt; None if the prompt is not valid.
        job_id: The id of the job; None if there is none, or if it is not known.
        image: The image; None if there is none. One that was found in the history
            has no *job_id* and no *credits_used*.
        error: The reason why there is no image, or no file: a `DownloadError` stands
            beside the image that could not be saved.
        path: The file of the image, if the batch saves its images.
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
            PictoryError: The outcome's error, which may be that of the download.
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
    """The outcomes of a batch: a list that notebooks show as a gallery."""

    @overload
    def __getitem__(self, place: SupportsIndex) -> BatchOutcome: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: SupportsIndex | slice) -> BatchOutcome | Self:
        if isinstance(place, slice):  # shows the next hundred
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
