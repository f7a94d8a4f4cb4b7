"""The switches of the sandbox: what the documents leave open, and how fast it is."""

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
    """How the sandbox acts where the documents conflict or say nothing.

    The defaults are the documented or the most likely answers. A careful program
    works with every value of every switch.

    Attributes:
        bearer: What ``Authorization: Bearer <key>`` gets. The documents want the
            raw key; whether the prefix is refused (401) is unknown.
        blocked_user_agents: A request whose User-Agent starts with one of these is
            turned away with 403 by the bot protection in front of the service.
        blocked_body: Whether that 403 has a text or an HTML body.
        unknown_job: The answer to a job id nobody knows: 404 with a body, 404 with
            an empty body, or 200 with ``success: false``.
        cleaned_job: The answer for a cleaned job: its state, or as if unknown.
        bad_page_key: The status for a ``nextPageKey`` the service did not issue.
        insufficient_credits: A refusal with this status, or an accepted job that
            fails with ``INSUFFICIENT_CREDITS``.
        nanobanana_ratios: All three ratios, or only 1:1; two documents disagree.
        flux_reference: Whether flux-schnell takes a ``referenceImageUrl``.
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

    No number, header or body of a real limit is documented, so all are options.

    Attributes:
        rate: Requests per second let through in the long run.
        burst: Requests let through at once after a quiet time; at least 1.
        status: Of the answer to the others: 429 or 503.
        retry_after: Seconds, or an HTTP date as text, for their ``Retry-After``
            header; None leaves the header out.
        html: Whether they get an HTML body, as from a proxy, instead of JSON.
    """

    rate: float = attrs.field(validator=attrs.validators.gt(0))
    burst: int = attrs.field(default=1, kw_only=True, validator=at_least(1))
    status: Literal[429, 503] = attrs.field(default=429, kw_only=True)
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    html: bool = attrs.field(default=False, kw_only=True)
