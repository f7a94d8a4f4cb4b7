"""Whose image is this? Finding what an unknown submission may have made. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

import attrs

from pictory_async._core.errors import InvalidRequestError, PictoryError
from pictory_async._core.models import HistoryImage, ImageRequest

# The service's clock and ours may differ by so much.
CLOCK_SKEW = timedelta(minutes=2)

# Images that are remembered while nothing is unknown. An error can only concern what
# was made while its POST was under way, give or take the clocks: minutes, not hours.
REMEMBERED = 10_000


class SubmissionUnknownError(PictoryError):
    """The POST may or may not have created a job. It was not sent again.

    Attributes:
        request: What was asked for.
        started_at: When the POST began (aware, UTC).
        ended_at: When it was given up (aware, UTC).
        cause: The error that left it open.
    """

    def __init__(
        self,
        message: str = "",
        *,
        request: ImageRequest | None = None,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        cause: PictoryError | None = None,
    ) -> None:
        super().__init__(message)
        self.request = request
        self.started_at = started_at
        self.ended_at = ended_at
        self.cause = cause

    def __str__(self) -> str:
        since = (
            f" since {self.started_at:%Y-%m-%d %H:%M:%SZ}" if self.started_at else ""
        )
        return self.args[0] or (
            "the submission may or may not have created a job, and was not repeated "
            f"({self.cause}); if it did, the image appears in the history{since}: "
            "session.reconcile(error) looks for it"
        )


def unknown(
    request: ImageRequest | None, started_at: datetime, cause: PictoryError
) -> SubmissionUnknownError:
    """Return the error for a paid request whose outcome is open since *started_at*."""
    return SubmissionUnknownError(
        request=request,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        cause=cause,
    )


@attrs.frozen
class Search:
    """What to look for in the history.

    Attributes:
        request: What was asked for.
        earliest: Images made before it cannot be meant.
        latest: Nor can those made after it; None for no such limit.
    """

    request: ImageRequest
    earliest: datetime
    latest: datetime | None

    def matches(self, image: HistoryImage) -> bool:
        """Say whether *image* can be what the request made."""
        made = image.created_at
        in_time = (
            made is not None
            and made >= self.earliest
            and (self.latest is None or made <= self.latest)
        )
        return in_time and image.prompt == self.request.prompt and self._as_named(image)

    def could_be(self, request: ImageRequest | None) -> bool:
        """Say whether a job with that *request* could have made the same image."""
        return request is None or request.prompt == self.request.prompt

    def _as_named(self, image: HistoryImage) -> bool:
        # [D] ai-studio/get-images: style and reference are there if the request named
        # them; what the request left open may be anything.
        asked = self.request
        pairs = (
            (asked.model, image.model),
            (asked.aspect_ratio, image.aspect_ratio),
            (asked.style, image.style),
            (asked.reference_image_url, image.reference_image_url),
        )
        return all(named is None or named == made for named, made in pairs)


def search_for(error: object, *, job_timeout: float | None) -> Search:
    """Return what to look for after *error*.

    Raises:
        InvalidRequestError: It is no error of an unknown submission.
    """
    if isinstance(error, SubmissionUnknownError):
        request, start, end = error.request, error.started_at, error.ended_at
        if request and start and end:
            longest = None if job_timeout is None else timedelta(seconds=job_timeout)
            latest = None if longest is None else end + longest
            return Search(request, start - CLOCK_SKEW, latest)
    reason = "must be a SubmissionUnknownError as it was raised"
    raise InvalidRequestError(field="error", reason=reason)


class Claims:
    """Which images are known to belong to a submission of this session."""

    def __init__(self) -> None:
        self._taken: dict[int, None] = {}  # marks of URLs, in order
        self._found: dict[Search, int] = {}
        self._open: list[Search] = []

    def take(self, url: str, *, now: datetime) -> None:
        """Note that the image at *url* belongs to a job of this session."""
        self._taken[_mark(url)] = None
        if len(self._taken) > 2 * REMEMBERED:
            self._open = [s for s in self._open if s.latest is None or s.latest > now]
            if not self._open:
                self._taken = dict.fromkeys(list(self._taken)[-REMEMBERED:])
                self._found.clear()

    def keep(self, search: Search) -> None:
        """Forget nothing as long as what is searched for may still come."""
        self._open.append(search)

    def choose(
        self, search: Search, images: Iterable[HistoryImage], *, others: Collection[str]
    ) -> HistoryImage | None:
        """Return the oldest of *images* that nobody else has, and claim it.

        Args:
            search: For whom; the same search gets the same image again.
            images: Those that match, newest first.
            others: URLs that belong to jobs still in progress.
        """
        own = self._found.get(search)
        taken = self._taken.keys() | {_mark(url) for url in others}
        found = None
        for image in images:
            if _mark(image.url) == own:
                return image
            if _mark(image.url) not in taken:
                found = image  # the last one is the oldest
        if found is not None:
            self._found[search] = _mark(found.url)
            self._taken[_mark(found.url)] = None
        return found


def _mark(url: str) -> int:
    # Without the query: a URL may be signed anew in each answer.
    return hash(url.partition("?")[0])
