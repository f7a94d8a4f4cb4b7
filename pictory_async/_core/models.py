"""The models that users pass in and get back.

Their fields have Python names; the names on the wire are in `wire` and `decode`.
"""

import copy
import enum
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, Self, TypeVar

import attrs

from pictory_async._core import html
from pictory_async._core.catalogue import DEFAULT_MODEL, MODELS, warn_if_undocumented
from pictory_async._core.errors import InvalidRequestError, PictoryError
from pictory_async._core.text import is_web_url, shown_prompt, shown_url

# [D] guides/ai-studio/text-to-image: "between 5 and 5,000 characters".
PROMPT_MINIMUM, PROMPT_MAXIMUM = 5, 5000


class JobState(enum.StrEnum):
    """The state of a job. Compare with ``==``, never with ``is``.

    A state newer than this release is kept: ``JobState("paused") == "paused"``.
    """

    # [D] api-reference/jobs/get-job-by-id
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CLEANED = "cleaned"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        state: Any = str.__new__(cls, value)
        state._name_, state._value_ = "UNKNOWN", value
        return state  # type: ignore[no-any-return]

    @property
    def final(self) -> bool:
        """Whether a job in this state no longer changes."""
        return self in _FINAL

    @property
    def documented(self) -> bool:
        """Whether this release knows the state."""
        return self in _DOCUMENTED


_DOCUMENTED = frozenset(JobState)
_FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CLEANED})


def _check_prompt(_: object, __: object, prompt: Any) -> None:
    if not isinstance(prompt, str):
        raise InvalidRequestError(
            field="prompt", reason=f"must be a string, not {type(prompt).__name__}"
        )
    allowed = f"must be {PROMPT_MINIMUM} to {PROMPT_MAXIMUM:,} characters"
    if not PROMPT_MINIMUM <= len(prompt) <= PROMPT_MAXIMUM:
        raise InvalidRequestError(
            field="prompt", reason=f"{allowed}, this one has {len(prompt):,}"
        )
    if not prompt.strip():
        raise InvalidRequestError(field="prompt", reason=f"{allowed} and not blank")
    _check_unicode("prompt", prompt)


def _check_unicode(field: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        reason = "must be valid Unicode, without lone surrogates"
        raise InvalidRequestError(field=field, reason=reason) from None


def _check_option(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        reason = f"must be a non-empty string or None, not {value!r:.60}"
        raise InvalidRequestError(field=attribute.name, reason=reason)
    _check_unicode(attribute.name, value)


def _check_url(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    # [D] api-reference/ai-studio/generate-image: "must be a valid URI"; the reference
    # "publicly accessible".
    if value is not None and not is_web_url(value):
        reason = "must be an absolute http:// or https:// URL, or None"
        raise InvalidRequestError(field=attribute.name, reason=reason)


def _check_extra(_: object, __: object, extra: object) -> None:
    if not isinstance(extra, dict) or not all(isinstance(key, str) for key in extra):
        reason = "must be a dict whose keys are wire names (strings)"
        raise InvalidRequestError(field="extra", reason=reason)


@attrs.frozen
class ImageRequest:
    """A request for one image. It is checked here, before anything is sent.

    Attributes:
        prompt: What to draw; 5 to 5,000 characters, not blank.
        model: A name of `MODELS`; None lets the service choose (``seedream3.0``).
        aspect_ratio: Such as ``"16:9"``; None for the model's default.
        style: Such as ``"photorealistic"``; None for none in particular.
        reference_image_url: The URL of a publicly accessible reference image.
        webhook: A URL that gets a POST when the job ends.
        extra: Fields newer than this release, by wire name; sent as they are.

    A model, ratio or style that is not documented is sent as given, with a warning in
    the log that names the documented value that is meant, or all of them.

    Raises:
        InvalidRequestError: A value is not allowed; names the field.

    Source: https://docs.pictory.ai/api-reference/ai-studio/generate-image
    """

    prompt: str = attrs.field(validator=_check_prompt, repr=shown_prompt)
    model: str | None = attrs.field(default=None, kw_only=True, validator=_check_option)
    aspect_ratio: str | None = attrs.field(
        default=None, kw_only=True, validator=_check_option
    )
    style: str | None = attrs.field(default=None, kw_only=True, validator=_check_option)
    reference_image_url: str | None = attrs.field(
        default=None, kw_only=True, validator=_check_url, repr=shown_url
    )
    # Not shown: anybody who knows the URL of a webhook can post to it.
    webhook: str | None = attrs.field(
        default=None, kw_only=True, validator=_check_url, repr=False
    )
    extra: Mapping[str, Any] = attrs.field(
        factory=dict, kw_only=True, validator=_check_extra, repr=False, hash=False
    )

    def __attrs_post_init__(self) -> None:
        warn_if_undocumented(
            self.model,
            model=self.model,
            aspect_ratio=self.aspect_ratio,
            style=self.style,
        )

    def override(self, **options: Any) -> Self:
        """Return this request with other values for some fields.

        Only the overridden values are checked against the catalogue again.

        Raises:
            InvalidRequestError: A value is not allowed; names the field.
        """
        request = copy.copy(self)
        for name, value in options.items():
            object.__setattr__(request, name, value)
        attrs.validate(request)
        new = {name: options.get(name) for name in ("model", "aspect_ratio", "style")}
        warn_if_undocumented(request.model, **new)
        return request

    @property
    def estimated_credits(self) -> Decimal | None:
        """The documented price in AI credits; None for an unknown model."""
        info = MODELS.get(self.model or DEFAULT_MODEL)
        return info.credits_per_image if info else None


@attrs.frozen(kw_only=True)
class GeneratedImage:
    """One finished image.

    Attributes:
        job_id: The job that made it.
        url: Where it can be downloaded, without the API key, which is not sent there.
        width: In pixels; None if the service did not say.
        height: In pixels; None if the service did not say.
        credits_used: AI credits charged (0.6 exists); None if the service did not say.
        request: The request; None for a job that was attached by its id.
        extra: Fields newer than this release and values that could not be read, by
            wire name.

    Source: https://docs.pictory.ai/api-reference/ai-studio/get-image-job
    """

    job_id: str
    url: str = attrs.field(repr=shown_url)
    width: int | None = None
    height: int | None = None
    credits_used: Decimal | None = None
    request: ImageRequest | None = attrs.field(default=None, repr=False)
    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)

    def _tile(self, *more: str | None) -> html.Tile:
        request = self.request
        return html.Tile(
            url=self.url,
            width=self.width,
            height=self.height,
            prompt=request.prompt if request else None,
            facts=(
                html.size(self.width, self.height),
                request.model if request else None,
                None
                if self.credits_used is None
                else html.credit_amount(self.credits_used),
                *more,
            ),
        )

    def _repr_html_(self) -> str:
        job = f"job {self.job_id}" if self.job_id else None
        return html.page(html.figure(self._tile(job)))


class Result(Protocol):
    """What the results of all products have in common."""

    @property
    def url(self) -> str: ...
    @property
    def credits_used(self) -> Decimal | None: ...
    @property
    def request(self) -> ImageRequest | None: ...
    def _tile(self) -> html.Tile: ...


ResultT = TypeVar("ResultT", bound=Result)


@attrs.frozen(kw_only=True)
class HistoryImage:
    """One image of the account's history.

    Attributes:
        id: The image's own id; the documentation does not relate it to a job id.
        url: Where it can be downloaded.
        prompt: The prompt that it was made from.
        model: The model that made it.
        aspect_ratio: Such as ``"16:9"``; the pixels need not match it.
        created_at: Aware, UTC; None if the service's text could not be read, which is
            then in *extra*.
        width: In pixels.
        height: In pixels.
        style: None if the request named none.
        reference_image_url: None if the request named none.
        extra: Fields newer than this release and values that could not be read, by
            wire name.

    A field that the service leaves out is None. Source:
    https://docs.pictory.ai/api-reference/ai-studio/get-images
    """

    id: str
    url: str = attrs.field(repr=shown_url)
    prompt: str | None = attrs.field(default=None, repr=shown_prompt)
    model: str | None = None
    aspect_ratio: str | None = None
    created_at: datetime | None = None
    width: int | None = None
    height: int | None = None
    style: str | None = None
    reference_image_url: str | None = attrs.field(default=None, repr=shown_url)
    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)

    def _tile(self) -> html.Tile:
        return html.Tile(
            url=self.url,
            width=self.width,
            height=self.height,
            prompt=self.prompt,
            facts=(
                f"{self.created_at:%Y-%m-%d %H:%M} UTC" if self.created_at else None,
                html.size(self.width, self.height),
                self.model,
                self.style,
            ),
        )

    def _repr_html_(self) -> str:
        return html.page(html.figure(self._tile()))


@attrs.frozen(kw_only=True)
class HistoryPage:
    """One page of the history, newest first.

    Attributes:
        images: Up to 100 images.
        next_page_key: The key of the page after this one; None on the last.
    """

    images: tuple[HistoryImage, ...]
    next_page_key: str | None = None

    def _repr_html_(self) -> str:
        more = "" if self.next_page_key is None else "more pages follow"
        heading = html.line(html.count(len(self.images), "image"), more)
        tiles = (image._tile() for image in self.images)
        grid = html.gallery(tiles, total=len(self.images))
        return html.page(html.paragraph(heading), grid)


@attrs.frozen(kw_only=True)
class JobStatus:
    """A snapshot of a job, as far as its handle knows.

    Attributes:
        job_id: The id of the job.
        state: The state that the service reported last; in progress before the first
            report.
        polls: The number of polls so far, including those that failed.
        elapsed: Seconds since the submission (or attachment), until now or until the
            job ended.
        error: Why the handle ended although the service reported no final state
            (time-out, closed session, refused key, ...); None otherwise.
        problem: Why the last poll failed; None if it was answered, or before the first.
            The job is polled again.
    """

    job_id: str
    state: JobState
    polls: int = 0
    elapsed: float = 0.0
    error: PictoryError | None = None
    problem: PictoryError | None = None

    @property
    def final(self) -> bool:
        """Whether the handle has ended, so that nothing changes any more."""
        return self.error is not None or self.state.final
