"""Options of the sandbox: what the documents leave open, and its rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable


def at_least(low: float) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    """Return a validator for numbers, or None where None is allowed."""

    def check(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
        if value is not None and not value >= low:
            message = f"{attribute.name} must be {low} or more, not {value!r}"
            raise ValueError(message)

    return check


@attrs.frozen(kw_only=True)
class Behavior:
    """How the sandbox behaves where the documents conflict or are silent.

    The defaults are the documented or the most likely behavior. A careful program
    works with every value of every option.

    Attributes:
        bearer: Whether ``Authorization: Bearer <key>`` is refused (401). The documents
            ask for the raw key and do not mention the prefix.
        blocked_user_agents: A request whose User-Agent starts with one of these is
            refused with 403 by the bot protection in front of the service.
        blocked_body: The form of the body of that 403.
        unknown_job: The answer for an unknown job id: 404 with a body, 404 with an
            empty body, or 200 with ``success: false``.
        cleaned_job: The answer for a cleaned job: its state, or that of an unknown one.
        bad_page_key: The status for a ``nextPageKey`` that the service did not issue.
        insufficient_credits: The status with which an unaffordable request is refused,
            or that it is accepted and its job fails with ``INSUFFICIENT_CREDITS``.
        nanobanana_ratios: All three ratios, or only 1:1; two documents disagree.
        flux_reference: Whether flux-schnell accepts a ``referenceImageUrl``.
    """

    bearer: Literal["refuse", "accept"] = "refuse"
    blocked_user_agents: tuple[str, ...] = ("Python-urllib",)
    blocked_body: Literal["text", "html"] = "text"
    unknown_job: Literal["404", "404-empty", "200"] = "404"
    cleaned_job: Literal["cleaned", "unknown"] = "cleaned"
    bad_page_key: Literal[400, 500] = 400
    insufficient_credits: Literal["failed-job", 400, 402, 403] = "failed-job"
    nanobanana_ratios: Literal["all", "square"] = "all"
    flux_reference: Literal["accept", "refuse"] = "accept"


@attrs.frozen
class Throttle:
    """A rate limit on the API (not on image files): a token bucket on loop time.

    No number, header or body of a real limit is documented, so all of it is optional.

    Attributes:
        rate: Requests per second that are admitted in the long run.
        burst: Requests that are admitted at once after a quiet time; at least 1.
        status: The status of refused requests: 429 or 503.
        retry_after: Seconds, or an HTTP date as text, for their ``Retry-After``
            header; None leaves the header out.
        html: Whether their body is HTML, as from a proxy, instead of JSON.
    """

    rate: float = attrs.field(validator=attrs.validators.gt(0))
    burst: int = attrs.field(default=1, kw_only=True, validator=at_least(1))
    status: Literal[429, 503] = attrs.field(default=429, kw_only=True)
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    html: bool = attrs.field(default=False, kw_only=True)
