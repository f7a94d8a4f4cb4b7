"""Submissions whose outcome is unknown, and the images that they may have made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import attrs

from pictory_async._core.catalogue import DEFAULT_MODEL
from pictory_async._core.errors import InvalidRequestError, PictoryError
from pictory_async._core.models import HistoryImage, ImageRequest

# What may be left between the clocks after a correction by the service's ``Date``.
CLOCK_SKEW = timedelta(minutes=2)

# Images that are remembered while no submission is unknown. A later error can only
# concern images made since its own POST began: minutes ago, not hours.
REMEMBERED = 10_000


class SubmissionUnknownError(PictoryError):
    """The POST may or may not have created a job. It was not sent again.

    Attributes:
        request: The request that was sent.
        started_at: When the POST began (aware, UTC).
        ended_at: When the client gave it up (aware, UTC).
        cause: The error that made its outcome unknown.
        clock_offset: Seconds by which the service's clock was ahead of this machine's,
            which the other times are by; None if no answer had said until then.
    """

    def __init__(
        self,
        message: str = "",
        *,
        request: ImageRequest | None = None,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        cause: PictoryError | None = None,
        clock_offset: float | None = None,
    ) -> None:
        super().__init__(message)
        self.request = request
        self.started_at = started_at
        self.ended_at = ended_at
        self.cause = cause
        self.clock_offset = clock_offset

    def __str__(self) -> str:
        since = (
            f" since {self.started_at:%Y-%m-%d %H:%M:%SZ}" if self.started_at else ""
        )
        return self.args[0] or (
            "the submission may or may not have created a job, and was not repeated "
            f"({self.cause}); if it did, the image appears in the history{since}: "
            "session.reconcile(error) looks for it"
        )


@attrs.frozen
class Search:
    """What to look for in the history after a `SubmissionUnknownError`.

    Attributes:
        request: The request that was sent.
        started_at: When its POST began, by this machine's clock.
        earliest: The earliest moment at which its image can have been made, by the
            service's clock.
        latest: The latest such moment; None for no limit.
    """

    request: ImageRequest
    started_at: datetime
    # Not compared: how far the clocks are apart is measured anew each time.
    earliest: datetime = attrs.field(eq=False)
    latest: datetime | None = attrs.field(eq=False)

    def matches(self, image: HistoryImage) -> bool:
        """Return whether *image* may have been made for the request."""
        made = image.created_at
        in_time = (
            made is not None
            and made >= self.earliest
            and (self.latest is None or made <= self.latest)
        )
        return (
            in_time
            and image.prompt == self.request.prompt
            and self._has_named_options(image)
        )

    def best_of(self, images: Sequence[HistoryImage]) -> HistoryImage | None:
        """Return the oldest image, of those with the very reference if there is one."""
        asked = self.request.reference_image_url
        equal = [image for image in images if image.reference_image_url == asked]
        return next(reversed(equal or images), None)

    def could_be(self, request: ImageRequest | None) -> bool:
        """Return whether a job with that *request* could have made the same image."""
        return request is None or request.prompt == self.request.prompt

    def _has_named_options(self, image: HistoryImage) -> bool:
        # [D] api-reference/ai-studio/generate-image: a request that names no model gets
        # the default one. ai-studio/get-images: style and reference are "present only
        # if specified in the original request", so absent means absent. The service may
        # host the reference at another URL.
        request = self.request
        ratio, reference = request.aspect_ratio, request.reference_image_url
        return (
            image.model == (request.model or DEFAULT_MODEL)
            and (ratio is None or image.aspect_ratio == ratio)
            and image.style == request.style
            and (image.reference_image_url is None) == (reference is None)
        )


def search_for(
    error: object, *, job_timeout: float | None, clock_offset: timedelta | None = None
) -> Search:
    """Return what to look for after *error*.

    Args:
        error: The error as it was raised.
        job_timeout: Seconds that a job may take; None for no limit.
        clock_offset: How far the service's clock is ahead now; for an error that does
            not say how far it was then.

    Raises:
        InvalidRequestError: It is not a complete `SubmissionUnknownError`.
    """
    if isinstance(error, SubmissionUnknownError):
        request, start, end = error.request, error.started_at, error.ended_at
        if request and start and end:
            ahead = clock_offset or timedelta()
            if error.clock_offset is not None:
                ahead = timedelta(seconds=error.clock_offset)
            longest = None if job_timeout is None else timedelta(seconds=job_timeout)
            latest = None if longest is None else end + ahead + longest
            return Search(request, start, start + ahead - CLOCK_SKEW, latest)
    reason = "must be a SubmissionUnknownError as it was raised"
    raise InvalidRequestError(field="error", reason=reason)


class Claims:
    """The images that are known to belong to a submission of this session."""

    def __init__(self) -> None:
        self._taken: dict[int, None] = {}  # hashes of URLs, oldest first
        self._chosen: dict[Search, int] = {}
        self._open: list[Search] = []  # those whose image may still appear

    def take(self, url: str, *, now: datetime) -> None:
        """Note that the image at *url* belongs to a job of this session."""
        self._taken[_url_hash(url)] = None
        if len(self._taken) > 2 * REMEMBERED:
            self._open = [s for s in self._open if s.latest is None or s.latest > now]
            if not self._open:
                self._taken = dict.fromkeys(list(self._taken)[-REMEMBERED:])
                self._chosen.clear()

    def keep_for(self, search: Search) -> None:
        """Forget no image for as long as *search* may be looked for."""
        self._open.append(search)

    def choose(
        self, search: Search, images: Iterable[HistoryImage], *, others: Collection[str]
    ) -> HistoryImage | None:
        """Return the oldest of *images* that belongs to no other job, and claim it.

        Args:
            search: The search; repeated, it gets the same image again.
            images: The images that match it, newest first.
            others: URLs that belong to jobs still in progress.
        """
        own = self._chosen.get(search)
        taken = self._taken.keys() | {_url_hash(url) for url in others}
        free = []
        for image in images:
            if _url_hash(image.url) == own:
                return image
            if _url_hash(image.url) not in taken:
                free.append(image)
        found = search.best_of(free)
        if found is not None:
            self._chosen[search] = _url_hash(found.url)
            self._taken[_url_hash(found.url)] = None
        return found


def _url_hash(url: str) -> int:
    # Without the query: a URL may be signed anew in each answer.
    return hash(url.partition("?")[0])
